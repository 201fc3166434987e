/** What bounds a message: the window, the queue, its time, and whoever gives it up. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OrionError } from "../src/codes.js";
import { Net, settled, watch } from "./fake.js";

let net: Net;

beforeEach(() => {
  vi.useFakeTimers();
  net = new Net();
});
afterEach(() => vi.useRealTimers());

describe("the window", () => {
  it("lets no more go than the gateway says, in messages", async () => {
    const client = await net.client();
    const socket = net.last.welcome({ window: 2 });
    for (const body of ["a", "b", "c", "d"]) void client.request(body);
    expect(socket.said).toHaveLength(3);
    socket.hear({ type: "result", s: 1, n: 1 }, "");
    expect(socket.headers[3]).toMatchObject({ n: 3 });
    socket.hear({ type: "result", s: 2, n: 2 }, "");
    expect(socket.headers[4]).toMatchObject({ n: 4 });
  });

  it("lets no more go in bytes; but one, however large", async () => {
    const client = await net.client();
    const socket = net.last.welcome({ window_bytes: 10 });
    void client.request("x".repeat(50));
    void client.request("é".repeat(5));
    void client.request("x");
    expect(socket.said).toHaveLength(2);
    socket.hear({ type: "result", s: 1, n: 1 }, "");
    expect(socket.said).toHaveLength(3);
    socket.hear({ type: "result", s: 2, n: 2 }, "");
    expect(socket.said).toHaveLength(4);
  });

  it("says so at once if a message is larger than the gateway takes", async () => {
    const client = await net.client();
    const socket = net.last.welcome({ message: 5 });
    const large = client.request("123456").catch((error: OrionError) => error);
    expect(await large).toMatchObject({ code: "TOO_LARGE", wasDone: false });
    void client.request("12345");
    expect(socket.headers.at(-1)).toMatchObject({ n: 1 });
  });
});

describe("the queue", () => {
  it("keeps what is asked for before there is a connection", async () => {
    const client = await net.client();
    const early = client.request("early");
    expect(net.last.said).toEqual([]);
    const socket = net.last.welcome();
    expect(socket.headers.map(({ type }) => type)).toEqual(["hello", "request"]);
    socket.hear({ type: "result", s: 1, n: 1 }, "done");
    expect((await early).text()).toBe("done");
  });

  it("rejects what has no room, and nothing else", async () => {
    const client = await net.client({ queue: { messages: 2, bytes: 10 } });
    const kept = [watch(client.request("1234")), watch(client.request("5678"))];
    const full = watch(client.request(""));
    await settled();
    expect(full.outcome).toBe("QUEUE_FULL");
    net.last.welcome();
    expect(net.last.payloads.slice(1)).toEqual(["1234", "5678"]);
    expect(kept.map(({ outcome }) => outcome)).toEqual([undefined, undefined]);
  });

  it("has a limit in bytes, which does not hold for what goes at once", async () => {
    const client = await net.client({ queue: { bytes: 10 } });
    const error = await client.request("12345678901").catch((each: OrionError) => each);
    expect(error).toMatchObject({ code: "QUEUE_FULL", wasDone: false });
    net.last.welcome();
    void client.request("12345678901");
    expect(net.last.said).toHaveLength(2);
  });
});

describe("time", () => {
  it("is over for what was never sent: EXPIRED, and it is never delivered", async () => {
    const client = await net.client();
    const late = watch(client.request("late", { timeout: 1000 }));
    await vi.advanceTimersByTimeAsync(999);
    expect(late.outcome).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(late.outcome).toBe("EXPIRED");
    net.last.welcome();
    expect(net.last.said).toHaveLength(1);
  });

  it("is over for what was sent: TIMEOUT, after the gateway has had its chance", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const late = watch(client.request("late", { timeout: 1000 }));
    await vi.advanceTimersByTimeAsync(1499);
    expect(late.outcome).toBeUndefined();
    socket.hear({ type: "push", s: 1 }, "");
    await vi.advanceTimersByTimeAsync(1);
    expect(late.outcome).toBe("TIMEOUT");
    // The gateway's own word on it comes too late, and harms nobody.
    socket.hear({ type: "error", s: 2, n: 1, code: "TIMEOUT" });
    expect(client.state.phase).toBe("online");
  });

  it("that is left travels with the message", async () => {
    const client = await net.client();
    void client.request("a", { timeout: 60_000 });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(net.last.welcome().headers[1]).toMatchObject({ ttl: 50_000 });
  });

  it("passes without a word from the gateway: another socket is tried", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const late = watch(client.request("late", { timeout: 10_000 }));
    await vi.advanceTimersByTimeAsync(10_500);
    expect([late.outcome, client.state.phase, socket.closed]).toEqual([
      "TIMEOUT",
      "waiting",
      1000,
    ]);
    // It is not waited for any more, but its number has to be there.
    const again = await net.comeBack({ recovered: true });
    expect(again.headers[1]).toMatchObject({ type: "request", n: 1, ttl: 0 });
  });

  it("passes with much of ours still on its way out: the socket is left alone", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    void client.request("late", { timeout: 10_000 }).catch(() => {});
    socket.bufferedAmount = 5;
    await vi.advanceTimersByTimeAsync(10_500);
    expect(client.state.phase).toBe("online");
  });
});

describe("aborting", () => {
  it("takes back what was not sent", async () => {
    const client = await net.client();
    const abort = new AbortController();
    const error = client.request("a", { signal: abort.signal }).catch((each: OrionError) => each);
    abort.abort();
    expect(await error).toMatchObject({ code: "ABORTED", wasDone: false });
    expect(net.last.welcome().said).toHaveLength(1);
  });

  it("gives up the answer of what was sent", async () => {
    const client = await net.client();
    const socket = net.last.welcome({ window: 1 });
    const abort = new AbortController();
    const error = client.request("a", { signal: abort.signal }).catch((each: OrionError) => each);
    void client.request("b");
    abort.abort();
    const { code, wasDone } = (await error) as OrionError;
    expect([code, wasDone]).toEqual(["ABORTED", undefined]);
    expect(socket.said).toHaveLength(2); // it has its room in the window until its outcome is there
    socket.hear({ type: "result", s: 1, n: 1 }, "");
    expect(socket.headers[2]).toMatchObject({ n: 2 });
  });

  it("is heeded before anything is done", async () => {
    const client = await net.client();
    const signal = AbortSignal.abort();
    await expect(client.request("a", { signal })).rejects.toMatchObject({ code: "ABORTED" });
    expect(net.last.welcome().said).toHaveLength(1);
  });
});

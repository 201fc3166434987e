/** Messages over one socket: what each is answered, and what is acknowledged. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OrionError } from "../src/codes.js";
import { Net } from "./fake.js";

let net: Net;

beforeEach(() => {
  vi.useFakeTimers();
  net = new Net();
});
afterEach(() => vi.useRealTimers());

describe("requests and notifications", () => {
  it("gives each request its result, in whatever order they come", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const first = client.request({ cmd: "render", page: 1 });
    const second = client.request("two", { timeout: 5000, repeat: "safe" });
    expect(socket.said.slice(1)).toEqual([
      '{"type":"request","n":1,"ttl":30000}\n{"cmd":"render","page":1}',
      '{"type":"request","n":2,"ttl":5000,"repeat":"safe"}\ntwo',
    ]);
    socket.hear({ type: "result", s: 1, n: 2 }, "2");
    socket.hear({ type: "result", s: 2, n: 1 }, '{"page":1}');
    expect((await second).text()).toBe("2");
    expect((await first).json()).toEqual({ page: 1 });
  });

  it("gives a notification its receipt", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const receipt = client.notify(Uint8Array.of(0, 255, 10));
    expect([...(socket.said[1] as Uint8Array)].slice(-4)).toEqual([10, 0, 255, 10]);
    socket.hear({ type: "receipt", s: 1, n: 1, stage: "sent" });
    expect(await receipt).toEqual({ n: 1, stage: "sent" });
  });

  it("copies bytes, takes views as they are, and reads Blobs", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const bytes = Uint8Array.of(1, 2, 3, 4);
    void client.notify(new DataView(bytes.buffer, 1, 2));
    void client.notify(bytes.buffer);
    void client.notify(new Blob(["blob"]));
    bytes.fill(9);
    await vi.advanceTimersByTimeAsync(1);
    socket.end();
    await net.comeBack({ recovered: true });
    const payloads = net.last.said.slice(1).map((each) => Buffer.from(each as Uint8Array));
    expect(payloads.map((each) => each.subarray(each.indexOf(10) + 1).toString("latin1"))).toEqual(
      ["\x02\x03", "\x01\x02\x03\x04", "blob"],
    );
  });

  it("rejects with the gateway's code, or NOT_OK and what the backend says", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const failed = client.request("a").catch((error: OrionError) => error);
    const refused = client.request("b").catch((error: OrionError) => error);
    const later = client.request("c").catch((error: OrionError) => error);
    socket.hear({ type: "error", s: 1, n: 1, code: "BACKEND_DOWN", message: "no link" });
    socket.hear({ type: "result", s: 2, n: 2, ok: false }, "no such document");
    socket.hear({ type: "error", s: 3, n: 3, code: "OF_A_LATER_GATEWAY" });
    expect(await failed).toMatchObject({
      name: "OrionError",
      code: "BACKEND_DOWN",
      message: "no link",
      wasDone: false,
    });
    const error = (await refused) as OrionError;
    expect([error.code, error.payload?.text()]).toEqual(["NOT_OK", "no such document"]);
    expect(error.wasDone).toBeUndefined();
    expect(await later).toMatchObject({ code: "OF_A_LATER_GATEWAY" });
  });

  it("refuses times and bodies that cannot be", async () => {
    const client = await net.client();
    await expect(client.request("a", { timeout: 0 })).rejects.toThrow(RangeError);
    await expect(client.request("a", { timeout: 86_400_001 })).rejects.toThrow(RangeError);
    const circle: { self?: object } = {};
    circle.self = circle;
    await expect(client.request(circle)).rejects.toThrow(TypeError);
    expect(client.state.waiting).toBe(0);
  });

  it("hands over pushes, once each", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const heard: string[] = [];
    const forget = client.on("push", (push) => void heard.push(push.text()));
    socket.hear({ type: "push", s: 1 }, "one");
    socket.hear({ type: "push", s: 1 }, "one");
    socket.hear({ type: "push", s: 2 }, "two");
    forget();
    socket.hear({ type: "push", s: 3 }, "three");
    expect(heard).toEqual(["one", "two"]);
  });

  it("does not let a listener's bug disturb anybody", async () => {
    const client = await net.client();
    const bugs: unknown[] = [];
    vi.stubGlobal("queueMicrotask", (task: () => void) => {
      try {
        task();
      } catch (error) {
        bugs.push(error);
      }
    });
    const heard: string[] = [];
    client.on("push", () => {
      throw new Error("a bug");
    });
    client.on("push", (push) => void heard.push(push.text()));
    net.last.welcome().hear({ type: "push", s: 1 }, "one");
    vi.unstubAllGlobals();
    expect(heard).toEqual(["one"]);
    expect(bugs).toHaveLength(1);
  });
});

describe("acknowledgements", () => {
  it("come after 16 messages", async () => {
    await net.client();
    const socket = net.last.welcome();
    for (let s = 1; s <= 15; s++) socket.hear({ type: "push", s }, "");
    expect(socket.said).toHaveLength(1);
    socket.hear({ type: "push", s: 16 }, "");
    expect(socket.said[1]).toBe('{"type":"ack","ack":16}');
    await vi.advanceTimersByTimeAsync(5000);
    expect(socket.said).toHaveLength(2);
  });

  it("come after a second", async () => {
    await net.client();
    const socket = net.last.welcome();
    socket.hear({ type: "push", s: 1 }, "");
    await vi.advanceTimersByTimeAsync(500);
    socket.hear({ type: "push", s: 2 }, "");
    await vi.advanceTimersByTimeAsync(499);
    expect(socket.said).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(socket.said[1]).toBe('{"type":"ack","ack":2}');
  });

  it("come after a quarter of window_bytes", async () => {
    await net.client();
    const socket = net.last.welcome({ window_bytes: 400 });
    socket.hear({ type: "push", s: 1 }, "x".repeat(99));
    expect(socket.said).toHaveLength(1);
    socket.hear({ type: "push", s: 2 }, "x");
    expect(socket.said[1]).toBe('{"type":"ack","ack":2}');
  });

  it("go with a message, if there is one", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    socket.hear({ type: "push", s: 1 }, "");
    void client.request("a");
    expect(socket.headers[1]).toMatchObject({ type: "request", n: 1, ack: 1 });
    await vi.advanceTimersByTimeAsync(5000);
    expect(socket.said).toHaveLength(2);
  });
});

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CLOSE_CODES, mayComeBack } from "../src/codes.js";
import { Reconnect } from "../src/reconnect.js";
import type { State } from "../src/types.js";
import { Net, settled, watch } from "./fake.js";

describe("waits", () => {
  it("have a ceiling that doubles up to the highest, and are anywhere below it", () => {
    for (const chance of [0, 0.5, 1]) {
      const reconnect = new Reconnect(500, 20_000, () => chance);
      const waits = Array.from({ length: 8 }, () => reconnect.after(1006, 0));
      const ceilings = [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000];
      expect(waits).toEqual(ceilings.map((ceiling) => ceiling * chance));
    }
  });

  it("stay below the highest after a thousand refusals", () => {
    const reconnect = new Reconnect(500, 20_000, () => 1);
    for (let tries = 0; tries < 1000; tries++) reconnect.after(1006, 0);
    expect(reconnect.after(1006, 0)).toBe(20_000);
  });

  it("begin anew only after a connection that has stood for a while", () => {
    const reconnect = new Reconnect(500, 20_000, () => 1);
    for (let tries = 0; tries < 4; tries++) reconnect.after(1006, 0);
    reconnect.online(1000);
    expect(reconnect.after(1006, 5999)).toBe(8000);
    reconnect.online(10_000);
    expect(reconnect.after(1006, 15_000)).toBe(500);
  });

  it("are spread over what a gateway that drains asks for, and may not be cut short", () => {
    const reconnect = new Reconnect(500, 20_000, () => 0.25);
    reconnect.comeBack(60_000);
    expect([reconnect.after(1001, 0), reconnect.mayHurry]).toEqual([15_000, false]);
    expect([reconnect.after(1001, 0), reconnect.mayHurry]).toEqual([125, true]);
    reconnect.comeBack(10_000_000);
    expect(reconnect.after(1001, 0)).toBe(75_000);
  });

  it("are none after what is final", () => {
    const reconnect = new Reconnect(500, 20_000, () => 1);
    for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 4500, 4508, 4510, 4999]) {
      expect(reconnect.after(code, 0), String(code)).toBeUndefined();
    }
    for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 4000, 4008, 4014, 4499, 5000]) {
      expect(reconnect.after(code, 0), String(code)).toBeDefined();
    }
  });

  it("know all codes of the gateway", () => {
    const final = Object.entries(CLOSE_CODES).filter(([, code]) => !mayComeBack(code));
    expect(final.map(([name]) => name)).toEqual([
      "NORMAL",
      "UNSUPPORTED_DATA",
      "INVALID_PAYLOAD",
      "BAD_MESSAGE",
      "UNAUTHORIZED",
      "SUPERSEDED",
    ]);
  });
});

describe("a client", () => {
  let net: Net;

  beforeEach(() => {
    vi.useFakeTimers();
    net = new Net();
  });
  afterEach(() => vi.useRealTimers());

  it("tells each state", async () => {
    const client = await net.client();
    const states: State[] = [];
    client.on("state", (state) => void states.push(state));
    expect(client.state).toEqual({ phase: "connecting", waiting: 0, waitingBytes: 0, attempt: 1 });
    net.last.end(1006, "why");
    const retryAt = Date.now() + 250;
    await vi.advanceTimersByTimeAsync(250);
    net.last.welcome();
    void client.request("é");
    void client.request("b");
    await settled();
    expect(states).toEqual([
      {
        phase: "waiting",
        waiting: 0,
        waitingBytes: 0,
        attempt: 1,
        code: 1006,
        reason: "why",
        retryAt,
      },
      expect.objectContaining({ phase: "connecting", attempt: 2 }),
      { phase: "online", waiting: 0, waitingBytes: 0, attempt: 0, recovered: false },
      { phase: "online", waiting: 2, waitingBytes: 3, attempt: 0, recovered: false },
    ]);
    expect(client.state).toBe(states.at(-1));
  });

  it("settles everything when an end is final, and comes back if it is told to", async () => {
    const client = await net.client();
    net.last.welcome({ window: 1 });
    const sent = watch(client.request("sent"));
    const waiting = watch(client.request("waiting"));
    net.last.end(4510, "SUPERSEDED");
    await settled();
    expect([sent.outcome, waiting.outcome]).toEqual(["OUTCOME_UNKNOWN", "CLOSED"]);
    expect(client.state).toMatchObject({ phase: "closed", code: 4510, reason: "SUPERSEDED" });
    await vi.advanceTimersByTimeAsync(100_000);
    expect(net.sockets).toHaveLength(1);
    client.reconnect();
    await settled();
    net.last.welcome({ recovered: true, window: 1 });
    void client.request("new");
    // What was given up has a number, without which there would be a gap; it need not be done.
    expect(net.last.headers.slice(1)).toMatchObject([{ n: 1, ttl: 0 }]);
    net.last.hear({ type: "error", s: 1, n: 1, code: "EXPIRED" });
    expect(net.last.headers.at(-1)).toMatchObject({ n: 2, ttl: 30_000 });
  });

  it("says bye, and waits for the socket's end", async () => {
    const ended: unknown[] = [];
    const client = await net.client({ onSession: (session) => ended.push(session) });
    const socket = net.last.welcome();
    const asked = watch(client.request("a"));
    const closed = watch(client.close().then(() => "closed"));
    await settled();
    expect([socket.headers.at(-1)!.type, socket.closed]).toEqual(["bye", 1000]);
    expect([asked.outcome, ended.at(-1)]).toEqual(["OUTCOME_UNKNOWN", null]);
    expect([client.state.phase, closed.outcome]).toEqual(["closed", undefined]);
    socket.end(1000);
    await settled();
    expect(closed.outcome).toBe("closed");
    await vi.advanceTimersByTimeAsync(100_000);
    expect([net.sockets.length, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("does not wait for ever for a socket's end", async () => {
    const client = await net.client();
    net.last.welcome();
    const closed = watch(client.close().then(() => "closed"));
    await vi.advanceTimersByTimeAsync(5000);
    expect(closed.outcome).toBe("closed");
  });

  it("says bye even if it is closed by its own listener", async () => {
    const client = await net.client();
    client.on("push", () => void client.close());
    net.last.welcome().hear({ type: "push", s: 1 }, "enough");
    expect(net.last.headers.at(-1)).toEqual({ type: "bye" });
    expect(client.state.phase).toBe("closed");
  });

  it("may be closed before it is connected, and connect after it was closed", async () => {
    const client = await net.client({ lazy: true });
    expect(net.sockets).toHaveLength(0);
    const asked = watch(client.request("a"));
    await client.close();
    expect(asked.outcome).toBe("CLOSED");
    client.reconnect();
    await settled();
    expect(net.last.welcome().headers).toEqual([{ type: "hello" }]);
  });

  it("gives up a connection that is of no use in time", async () => {
    const client = await net.client({ connectTimeout: 1000 });
    net.last.open();
    await vi.advanceTimersByTimeAsync(1000);
    expect(client.state).toMatchObject({ phase: "waiting", code: 1006 });
    expect(net.last.closed).toBe(1000);
  });

  it("connects at once when it is told to, also if it is connected", async () => {
    const client = await net.client();
    net.last.end();
    client.reconnect();
    client.reconnect();
    await settled();
    expect(net.sockets).toHaveLength(2);
    const socket = net.last.welcome();
    client.reconnect();
    await settled();
    expect([net.sockets.length, socket.closed]).toEqual([3, 1000]);
    socket.hear({ type: "push", s: 1 }, "of a socket that counts no more");
    socket.end(4510);
    expect(client.state.phase).toBe("connecting");
  });

  it("comes back within the time that a gateway asks for, and takes nothing new until then", async () => {
    const client = await net.client();
    const told: unknown[] = [];
    client.on("drain", (drain) => void told.push(drain));
    const socket = net.last.welcome();
    const under = watch(client.request("under way"));
    socket.hear({ type: "drain", within: 20_000 });
    void client.request("new");
    expect(socket.said).toHaveLength(2);
    socket.hear({ type: "result", s: 1, n: 1 }, "done");
    await settled();
    expect([told, under.outcome]).toEqual([[{ within: 20_000 }], expect.anything()]);
    socket.end(1001);
    expect(client.state.retryAt! - Date.now()).toBe(10_000);
    await vi.advanceTimersByTimeAsync(10_000);
    net.last.welcome({ sid: "after the restart" });
    expect(net.last.payloads.slice(1)).toEqual(["new"]);
  });

  it("asks for a fresh token before each connection", async () => {
    let tokens = 0;
    await net.client({ getToken: async () => `token-${++tokens}` });
    expect(net.last.protocols).toEqual(["orion.v2", "orion.bearer.token-1"]);
    net.last.welcome().end();
    await vi.advanceTimersByTimeAsync(250);
    expect(net.last.protocols).toEqual(["orion.v2", "orion.bearer.token-2"]);
  });

  it("shows a token in its first message if it is to", async () => {
    await net.client({ getToken: () => "t", tokenIn: "hello" });
    expect(net.last.protocols).toEqual(["orion.v2"]);
    expect(net.last.open().headers).toEqual([{ type: "hello", token: "t" }]);
  });

  it("tells if there is no token, and tries again", async () => {
    const errors: Error[] = [];
    let tokens = 0;
    const client = await net.client({
      lazy: true,
      getToken: () => {
        if (!tokens++) throw new Error("no token");
        return "t";
      },
    });
    client.on("error", (error) => void errors.push(error));
    client.reconnect();
    await settled();
    expect([errors[0]!.message, client.state.phase]).toEqual(["no token", "waiting"]);
    await vi.advanceTimersByTimeAsync(250);
    expect(net.last.protocols).toContain("orion.bearer.t");
  });

  it("forgets a token that comes when nobody wants it any more", async () => {
    let give: (token: string) => void = () => {};
    const client = await net.client({ getToken: () => new Promise((done) => (give = done)) });
    await client.close();
    give("late");
    await settled();
    expect(net.sockets).toHaveLength(0);
  });

  it("tells how much of a large message is out, and no more once it is", async () => {
    const client = await net.client();
    const socket = net.last.welcome();
    const told: number[] = [];
    const body = "x".repeat(1000);
    socket.bufferedAmount = 1040;
    void client.request(body, { onProgress: ({ sent, total }) => told.push(sent, total) });
    await vi.advanceTimersByTimeAsync(100);
    socket.bufferedAmount = 600;
    void client.request("y".repeat(500));
    socket.bufferedAmount += 530;
    await vi.advanceTimersByTimeAsync(100);
    socket.bufferedAmount = 530;
    await vi.advanceTimersByTimeAsync(300);
    expect([told[0], told[1]]).toEqual([0, 1000]);
    expect(told[2]).toBeGreaterThan(390);
    expect(told[2]).toBeLessThan(410);
    expect(told.slice(4)).toEqual([1000, 1000]);
  });
});

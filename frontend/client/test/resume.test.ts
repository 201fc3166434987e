/** A session over several sockets, and gateways that break the contract. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SessionEvent, SessionKey } from "../src/types.js";
import { Net, SID, settled, watch } from "./fake.js";

let net: Net;

beforeEach(() => {
  vi.useFakeTimers();
  net = new Net();
});
afterEach(() => vi.useRealTimers());

describe("resume", () => {
  it("shows sid, the newest key and what was seen, and sends what is missing again", async () => {
    const sessions: (SessionKey | null)[] = [];
    const client = await net.client({ onSession: (session) => sessions.push(session) });
    const socket = net.last.welcome({ key: "k1" });
    const requests = ["a", "b", "c"].map((body) => watch(client.request(body)));
    socket.hear({ type: "result", s: 1, n: 1 }, "A");
    socket.end(1006);
    expect(client.state).toMatchObject({ phase: "waiting", code: 1006, waiting: 2 });
    const again = await net.comeBack({ key: "k2", recovered: true, ack: 2 });
    expect(again.headers[0]).toEqual({ type: "hello", sid: SID, key: "k1", seen: 1 });
    expect(again.headers.slice(1)).toMatchObject([{ n: 3 }]);
    again.hear({ type: "result", s: 2, n: 2 }, "B");
    again.hear({ type: "result", s: 3, n: 3 }, "C");
    await settled();
    expect(requests.map(({ outcome }) => (outcome as { text(): string }).text())).toEqual([
      ..."ABC",
    ]);
    expect(client.state).toMatchObject({ phase: "online", recovered: true, waiting: 0 });
    expect(sessions).toEqual([
      { sid: SID, key: "k1" },
      { sid: SID, key: "k2" },
    ]);
  });

  it("tells of pushes that are lost, and goes on behind them", async () => {
    const client = await net.client();
    const told: SessionEvent[] = [];
    client.on("session", (session) => void told.push(session));
    const heard: string[] = [];
    client.on("push", (push) => void heard.push(push.text()));
    net.last.welcome().hear({ type: "push", s: 1 }, "1");
    net.last.end();
    const lost = [
      [2, 4],
      [6, 6],
    ];
    const again = await net.comeBack({ recovered: false, lost });
    again.hear({ type: "push", s: 5 }, "5");
    again.hear({ type: "push", s: 7 }, "7");
    expect(heard).toEqual(["1", "5", "7"]);
    expect(told[1]).toMatchObject({ recovered: false, replaced: false, lost: 4 });
    expect(client.state).toMatchObject({ phase: "online", recovered: false });
  });

  it("in a session that is another one sends again what may be, and fails the rest", async () => {
    const client = await net.client();
    net.last.welcome({ window: 3 });
    const unsafe = watch(client.request("unsafe"));
    const safe = watch(client.request("safe", { repeat: "safe" }));
    const notify = watch(client.notify("notify"));
    void client.request("never sent");
    net.last.end();
    const told: SessionEvent[] = [];
    client.on("session", (session) => void told.push(session));
    const again = await net.comeBack({ sid: "another" });
    await settled();
    expect([unsafe.outcome, safe.outcome, notify.outcome]).toEqual([
      "SESSION_LOST",
      undefined,
      "SESSION_LOST",
    ]);
    expect(again.payloads.slice(1)).toEqual(["safe", "never sent"]);
    expect(again.headers.slice(1)).toMatchObject([{ n: 1 }, { n: 2 }]);
    expect(told).toMatchObject([{ sid: "another", replaced: true, recovered: false }]);
    again.hear({ type: "result", s: 1, n: 1 }, "done");
    await settled();
    expect(safe.outcome).toMatchObject({ binary: false });
  });

  it("takes up a session of another page", async () => {
    const client = await net.client({ session: { sid: SID, key: "kept" } });
    void client.request("new");
    const heard: string[] = [];
    client.on("push", (push) => void heard.push(push.text()));
    const socket = net.last.open();
    expect(socket.headers[0]).toEqual({ type: "hello", sid: SID, key: "kept" });
    socket.welcome({ recovered: true, ack: 7 });
    expect(socket.headers.at(-1)).toMatchObject({ type: "request", n: 8 });
    socket.hear({ type: "result", s: 41, n: 6 }, "of the page before");
    socket.hear({ type: "push", s: 42 }, "news");
    socket.hear({ type: "result", s: 43, n: 8 }, "");
    socket.hear({ type: "push", s: 45 }, "out of order");
    expect(heard).toEqual(["news"]);
    expect(client.state).toMatchObject({ phase: "closed", code: 4500 });
  });

  it("takes up a session of another page twice, if its first socket was of no use", async () => {
    const client = await net.client({ session: { sid: SID, key: "kept" } });
    net.last.welcome({ recovered: true, ack: 0 });
    void client.request("a");
    net.last.end();
    const again = await net.comeBack({ recovered: true, ack: 0 });
    expect(again.headers[1]).toMatchObject({ n: 1 });
    void client.request("b");
    expect(again.headers[2]).toMatchObject({ n: 2 });
  });

  it("begins another session if that of the other page is gone", async () => {
    const client = await net.client({ session: { sid: "gone", key: "kept" } });
    const told: SessionEvent[] = [];
    client.on("session", (session) => void told.push(session));
    void client.request("a");
    expect(net.last.welcome().headers[1]).toMatchObject({ n: 1 });
    expect(told).toMatchObject([{ sid: SID, replaced: true }]);
  });

  it("passes over receipts without a number, and tells of a reused one", async () => {
    const client = await net.client();
    const errors: unknown[] = [];
    client.on("error", (error) => void errors.push(error));
    const socket = net.last.welcome();
    const asked = watch(client.request("a"));
    socket.hear({ type: "receipt", n: 1, stage: "accepted" });
    socket.hear({ type: "error", n: 1, code: "REUSED_ID", message: "another payload" });
    socket.hear({ type: "result", s: 1, n: 1 }, "done");
    await settled();
    expect(asked.outcome).toMatchObject({ binary: false });
    expect(errors).toMatchObject([{ code: "REUSED_ID" }]);
  });
});

describe("a gateway that breaks the contract", () => {
  it.each([
    ["leaves a number out", { type: "push", s: 2 }, ""],
    ["acknowledges what was never sent", { type: "ack", ack: 2 }],
    ["answers what was never asked", { type: "result", s: 1, n: 2 }, ""],
    ["gives a receipt for a request", { type: "receipt", s: 1, n: 1, stage: "sent" }],
    ["says welcome twice", { type: "welcome" }],
    ["says nonsense", { type: "nonsense" }],
  ])("%s: the socket ends, and for good", async (_, header, payload?: string) => {
    const client = await net.client();
    const errors: Error[] = [];
    client.on("error", (error) => void errors.push(error));
    const asked = watch(client.request("a"));
    const socket = net.last.welcome();
    socket.hear(header, payload);
    await settled();
    expect(client.state).toMatchObject({ phase: "closed", code: 4500, waiting: 0 });
    expect([socket.closed, asked.outcome]).toEqual([4500, "OUTCOME_UNKNOWN"]);
    expect(errors[0]!.message).toContain(header.type);
    await expect(client.request("b")).rejects.toMatchObject({ code: "CLOSED" });
  });

  it.each([[{ recovered: true }], [{ ack: 1 }], [{ lost: [[1, 1]] }], [{ window: 0 }]])(
    "has a first welcome with %j",
    async (more) => {
      const client = await net.client();
      net.last.welcome(more);
      expect(client.state).toMatchObject({ phase: "closed", code: 4500 });
    },
  );

  it("says something before the welcome", async () => {
    const client = await net.client();
    net.last.open().hear({ type: "push", s: 1 }, "");
    expect(client.state.phase).toBe("closed");
  });

  it("does not speak the dialect", async () => {
    const client = await net.client();
    net.last.open("");
    expect(client.state).toMatchObject({ phase: "closed", code: 4500 });
  });
});

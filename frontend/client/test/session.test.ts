import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OrionError } from "../src/codes.js";
import type { SessionEvent, SessionKey } from "../src/types.js";
import { type FakeSocket, Net, SID, settled, watch } from "./fake.js";

let net: Net;

beforeEach(() => {
  vi.useFakeTimers();
  net = new Net();
});
afterEach(() => vi.useRealTimers());

/** Let the next socket come, and be welcome. */
async function comeBack(more: object = {}): Promise<FakeSocket> {
  await vi.advanceTimersByTimeAsync(250);
  return net.last.welcome(more);
}

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
    await comeBack({ recovered: true });
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
    const again = await comeBack({ recovered: true });
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

describe("resume", () => {
  it("shows sid, the newest key and what was seen, and sends what is missing again", async () => {
    const sessions: (SessionKey | null)[] = [];
    const client = await net.client({ onSession: (session) => sessions.push(session) });
    const socket = net.last.welcome({ key: "k1" });
    const requests = ["a", "b", "c"].map((body) => watch(client.request(body)));
    socket.hear({ type: "result", s: 1, n: 1 }, "A");
    socket.end(1006);
    expect(client.state).toMatchObject({ phase: "waiting", code: 1006, waiting: 2 });
    const again = await comeBack({ key: "k2", recovered: true, ack: 2 });
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
    const again = await comeBack({ recovered: false, lost });
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
    const again = await comeBack({ sid: "another" });
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
    const again = await comeBack({ recovered: true, ack: 0 });
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

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { OrionError } from "../src/codes.js";
import { objectText, writePlain } from "../src/plain.js";
import { MessageHandler } from "../src/shim.js";
import type { Options } from "../src/types.js";
import { Net, settled, watch } from "./fake.js";
import { vectors } from "./vectors.js";

let net: Net;

beforeEach(() => {
  vi.useFakeTimers();
  net = new Net();
});
afterEach(() => vi.useRealTimers());

const client = (more: Options = {}) => net.client({ protocol: "orion.v1", ...more });

describe("orion.v1", () => {
  it("writes objects with their number in front, and changes nothing else of them", () => {
    const write = (text: string) => writePlain(7, objectText(text));
    expect(write("{}")).toBe('{"@MSGID":7}');
    expect(write(" { } ")).toBe('{"@MSGID":7}');
    expect(write('{"big":12345678901234567890 }')).toBe(
      '{"@MSGID":7,"big":12345678901234567890 }',
    );
    expect(write('{"a":1,"@MSGID":99}')).toBe('{"@MSGID":7,"a":1}');
  });

  it.each(["[]", "7", "null", "text", ""])("refuses %j", async (body) => {
    const error = await (await client()).request(body).catch((each) => each);
    expect(error).toBeInstanceOf(TypeError);
  });

  it("refuses bytes", async () => {
    await expect((await client()).request(Uint8Array.of(1))).rejects.toThrow(TypeError);
  });

  it("gives each message the answer with its number", async () => {
    const plain = await client();
    const socket = net.last.open();
    expect(plain.state.phase).toBe("online");
    const first = plain.request({ cmd: "a" });
    const second = plain.request({ cmd: "b" });
    expect(socket.said).toEqual(['{"@MSGID":1,"cmd":"a"}', '{"@MSGID":2,"cmd":"b"}']);
    socket.hear({ msgID: 2, success: false, message: "no such document" });
    socket.hear({ msgID: 1, success: true, message: "" });
    expect((await first).json()).toEqual({ msgID: 1, success: true, message: "" });
    // What the backend says is an answer, as it is in orion.v2 with the same backend.
    expect((await second).json()).toMatchObject({ success: false });
  });

  it("reads the page's answers", async () => {
    const plain = await client();
    const socket = net.last.open();
    const asked = Array.from({ length: 7 }, () => watch(plain.request({})));
    const errors: Error[] = [];
    plain.on("error", (error) => void errors.push(error));
    socket.onmessage?.({ data: vectors.get("v1-error")!.data });
    socket.onmessage?.({ data: vectors.get("v1-error-no-id")!.data });
    await settled();
    expect(asked[6]!.outcome).toBe("TIMEOUT");
    expect(errors).toHaveLength(1);
    for (let n = 0; n < 7; n++) void plain.request({}).catch(() => {});
    socket.onmessage?.({ data: vectors.get("v1-answer")!.data });
    expect(errors).toHaveLength(2); // that number had its answer already
  });

  it("takes an answer for a receipt", async () => {
    const plain = await client();
    const socket = net.last.open();
    const told = plain.notify({ cmd: "move" });
    const refused = plain.notify({ cmd: "move" }).catch((error: OrionError) => error);
    socket.hear({ msgID: 1, success: true });
    socket.hear({ msgID: 2, success: false, message: "locked" });
    expect(await told).toEqual({ n: 1, stage: "sent" });
    const error = (await refused) as OrionError;
    expect([error.code, error.payload?.json()]).toEqual([
      "NOT_OK",
      { msgID: 2, success: false, message: "locked" },
    ]);
  });

  it("hands over as pushes what is no answer", async () => {
    const plain = await client();
    const heard: string[] = [];
    plain.on("push", (push) => void heard.push(push.binary ? "binary" : push.text()));
    const socket = net.last.open("");
    socket.hear({ event: "saved" });
    socket.onmessage?.({ data: "no JSON" });
    socket.onmessage?.({ data: new ArrayBuffer(3) });
    expect(heard).toEqual(['{"event":"saved"}', "no JSON", "binary"]);
  });

  it("does not know what became of what was sent, when the socket ends", async () => {
    const plain = await client();
    net.last.open();
    const sent = watch(plain.request({ cmd: "sent" }));
    const safe = plain.request({ cmd: "safe" }, { repeat: "safe" });
    net.last.end(1006);
    const waiting = plain.request({ cmd: "waiting" });
    await settled();
    expect(sent.outcome).toBe("OUTCOME_UNKNOWN");
    await vi.advanceTimersByTimeAsync(250);
    const socket = net.last.open();
    expect(socket.said).toEqual(['{"@MSGID":1,"cmd":"safe"}', '{"@MSGID":2,"cmd":"waiting"}']);
    socket.hear({ msgID: 2, a: 2 });
    socket.hear({ msgID: 1, a: 1 });
    expect([(await safe).json(), (await waiting).json()]).toMatchObject([{ a: 1 }, { a: 2 }]);
  });
});

describe("MessageHandler", () => {
  const handler = (more: object = {}) =>
    new MessageHandler("wss://gateway.example/ws", {
      WebSocket: net.Socket,
      random: () => 0.5,
      protocol: "orion.v1",
      ...more,
    });

  it("calls back with the backend's answer, under its own number", async () => {
    const results: unknown[] = [];
    const old = handler();
    await settled();
    const socket = net.last.open();
    expect(old.isConnected).toBe(true);
    expect(old.sendData({ cmd: "open", "@MSGID": 99 }, (each) => results.push(each))).toBe(1);
    expect(old.sendData({ cmd: "close" })).toBe(2);
    expect(socket.said[0]).toBe('{"@MSGID":1,"cmd":"open"}');
    socket.hear({ msgID: 1, success: false, message: "no such document", page: 1 });
    await settled();
    expect(results).toEqual([{ success: false, message: "no such document", msgID: 1, page: 1 }]);
  });

  it("calls back with a code if there is no answer", async () => {
    const results: unknown[] = [];
    const old = handler();
    await settled();
    net.last.open();
    old.sendData({ cmd: "open" }, (each) => results.push(each), 1000);
    await vi.advanceTimersByTimeAsync(1500);
    expect(results).toEqual([
      { success: false, message: "its time is over", msgID: 1, code: "TIMEOUT" },
    ]);
  });

  it("tells one-way messages' receipts, in orion.v2 as well", async () => {
    const results: unknown[] = [];
    const pushes: unknown[] = [];
    const phases: string[] = [];
    const old = handler({
      protocol: "orion.v2",
      onMessage: (message: unknown) => pushes.push(message),
      onState: ({ phase }: { phase: string }) => phases.push(phase),
    });
    await settled();
    const socket = net.last.welcome();
    old.sendOneWay({ cmd: "move" }, (each) => results.push(each));
    old.sendData({ cmd: "text" }, (each) => results.push(each));
    old.sendData({ cmd: "no" }, (each) => results.push(each));
    socket.hear({ type: "receipt", s: 1, n: 1, stage: "sent" });
    socket.hear({ type: "result", s: 2, n: 2 }, "plain text");
    socket.hear({ type: "result", s: 3, n: 3, ok: false }, '{"why":"locked","message":"no"}');
    socket.hear({ type: "push", s: 4 }, '{"event":"saved"}');
    await settled();
    expect(results).toEqual([
      { success: true, message: "sent", msgID: 1 },
      { success: true, message: "", result: "plain text", msgID: 2 },
      expect.objectContaining({ success: false, msgID: 3, code: "NOT_OK", why: "locked" }),
    ]);
    expect([pushes, phases.at(0)]).toEqual([[{ event: "saved" }], "online"]);
    void old.close();
    expect(phases.at(-1)).toBe("closed");
  });
});

import { describe, expect, it } from "vitest";
import { objectText, writePlain } from "../src/plain.js";
import * as wire from "../src/wire.js";
import { of, vectors } from "./vectors.js";

const SESSION = { sid: "AgICAgICAgICAgIC", key: "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD" };
const TOKEN = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl";

/** How each message of a browser is written here. */
const WRITTEN: Record<string, () => wire.Data> = {
  hello: () => wire.hello(),
  "hello-again": () => wire.hello(SESSION, 41),
  "hello-token": () => wire.hello(null, undefined, TOKEN),
  request: () => wire.write("request", 1, 5000, undefined, undefined, '{"cmd":"render","page":1}'),
  "request-safe": () => wire.write("request", 2, 5000, "safe", 3, '{"cmd":"open","id":"invoice"}'),
  notify: () =>
    wire.write("notify", 2, undefined, undefined, 3, '{"cmd":"move","id":"f1","x":20,"y":25}'),
  "notify-binary": () =>
    wire.write("notify", 3, undefined, undefined, undefined, Uint8Array.of(0, 255, 10)),
  ack: () => wire.acknowledge(3),
  bye: () => wire.BYE,
  "v1-request": () => writePlain(7, objectText('{"cmd":"move","id":"f1","x":20,"y":25}')),
};

const WELCOME = {
  type: "welcome",
  sid: SESSION.sid,
  key: "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
  epoch: "AQEBAQEB",
  recovered: true,
  ack: 7,
  ttl: 120000,
  window: 64,
  window_bytes: 1048576,
  message: 1048576,
};

/** What each message of the gateway is read as: its header, and its payload. */
const READ: Record<string, [object, string?]> = {
  welcome: [{ ...WELCOME, recovered: false, ack: 0 }],
  "welcome-recovered": [WELCOME],
  "welcome-lost": [
    {
      ...WELCOME,
      recovered: false,
      lost: [
        [42, 57],
        [59, 59],
      ],
    },
  ],
  result: [{ type: "result", s: 2, n: 1 }, '{"success":true,"message":"","page":1}'],
  "result-not-ok": [{ type: "result", s: 3, n: 2, ok: false, ack: 2 }, "no such document"],
  receipt: [{ type: "receipt", s: 1, n: 2, stage: "sent" }],
  error: [{ type: "error", s: 4, n: 7, code: "TIMEOUT", message: "no answer in time" }],
  push: [{ type: "push", s: 3 }, '{"event":"saved","id":"invoice"}'],
  "gateway-ack": [{ type: "ack", ack: 16 }],
  drain: [{ type: "drain", within: 20000 }],
  "receipt-again": [{ type: "receipt", n: 1, stage: "accepted" }],
  "error-reused": [
    {
      type: "error",
      n: 1,
      code: "REUSED_ID",
      message: "another payload under the number of an earlier message",
    },
  ],
};

describe("docs/wire.md", () => {
  it("is written to the byte", () => {
    expect(Object.keys(WRITTEN)).toEqual(of("browser").map((each) => each.name));
    for (const [name, write] of Object.entries(WRITTEN)) {
      const data = write();
      const { octets, isBinary } = vectors.get(name)!;
      expect(typeof data !== "string", name).toBe(isBinary);
      expect(Buffer.from(data as string), name).toEqual(Buffer.from(octets));
    }
  });

  it("is read whole", () => {
    const names = of("gateway").map((each) => each.name);
    expect(Object.keys(READ)).toEqual(names.filter((name) => !name.startsWith("v1-")));
    for (const [name, [header, payload]] of Object.entries(READ)) {
      const read = wire.read(vectors.get(name)!.data);
      expect(read.header, name).toEqual(header);
      expect(read.payload?.text(), name).toBe(payload);
    }
  });

  it("carries binary payloads both ways", () => {
    const line = '{"type":"push","s":1}\n';
    const octets = Uint8Array.from([...Buffer.from(line), 0, 255, 10, 10]);
    const { header, payload } = wire.read(octets.buffer);
    expect(header).toEqual({ type: "push", s: 1 });
    expect(payload!.binary).toBe(true);
    expect([...payload!.bytes()]).toEqual([0, 255, 10, 10]);
    expect(() => payload!.text()).toThrow();
  });
});

describe("what is not as agreed", () => {
  const push = (header: string, payload = "\nx") => `${header}${payload}`;

  it.each([
    ["no JSON", "hello"],
    ["no object", "7"],
    ["null", "null"],
    ["no type", "{}"],
    ["an unknown type", '{"type":"hi"}'],
    ["a type that objects have", '{"type":"toString"}'],
    ["a number of 0", push('{"type":"push","s":0}')],
    ["a number that is none", push('{"type":"push","s":"1"}')],
    ["a number beyond 2^53", push('{"type":"push","s":9007199254740992}')],
    ["half a number", push('{"type":"push","s":1.5}')],
    ["a missing number", push('{"type":"push"}')],
    ["a payload that is missing", push('{"type":"push","s":1}', "")],
    ["a payload too many", push('{"type":"ack","ack":1}')],
    ["a flag that is none", push('{"type":"result","s":1,"n":1,"ok":0}')],
    ["a wrong ack", push('{"type":"push","s":1,"ack":-1}')],
    ["a wrong text", '{"type":"error","s":1,"n":1,"code":"TIMEOUT","message":7}'],
    ["a header that is too long", push(`{"type":"push","s":1,"x":"${"é".repeat(4090)}"}`)],
  ])("%s is refused", (_, message) => {
    expect(() => wire.read(message)).toThrow();
  });

  it("a header alone in a binary message is refused", () => {
    const octets = new TextEncoder().encode('{"type":"ack","ack":1}');
    expect(() => wire.read(octets.buffer)).toThrow();
  });

  it("members that are not known are passed over", () => {
    const { header } = wire.read('{"type":"ack","ack":1,"later":{"x":[]},"sid":7}');
    expect(header).toMatchObject({ type: "ack", ack: 1 });
  });
});

/**
 * The browser dialect `orion.v2` to the byte, as a client writes and reads it (docs/wire.md).
 *
 * What the gateway says is read strictly: what does not keep the contract throws. Members that
 * are not known are passed over, so that a later gateway may say more.
 */
import type { Payload } from "./codes.js";
import type { SessionKey } from "./types.js";

/** One WebSocket message, text or binary. */
export type Data = string | Uint8Array<ArrayBuffer>;

/** Bytes of a header line. */
const MAX_HEADER = 8192;
const LINE_FEED = 10;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Return how many bytes a payload has on the wire. */
export const sizeOf = (data: Data): number =>
  typeof data === "string" ? encoder.encode(data).length : data.length;

/** A payload that came from the gateway. */
export class Content implements Payload {
  readonly #data: Data;

  constructor(data: Data) {
    this.#data = data;
  }

  /** Bytes of text that is not ASCII are counted as one: it is for acknowledgements only. */
  get size(): number {
    return this.#data.length;
  }

  get binary(): boolean {
    return typeof this.#data !== "string";
  }

  text(): string {
    return typeof this.#data === "string" ? this.#data : decoder.decode(this.#data);
  }

  json<T>(): T {
    return JSON.parse(this.text());
  }

  bytes(): Uint8Array {
    return typeof this.#data === "string" ? encoder.encode(this.#data) : this.#data;
  }
}

export interface Welcome extends SessionKey {
  readonly type: "welcome";
  readonly epoch: string;
  readonly recovered: boolean;
  /** Pairs of first and last: the pushes that had to go. */
  readonly lost?: readonly (readonly [number, number])[];
  readonly ack: number;
  readonly ttl: number;
  readonly window: number;
  readonly window_bytes: number;
  readonly message: number;
}

interface Numbered {
  /** Its own number; without one it is about a repetition, and no outcome. */
  readonly s?: number;
  readonly ack?: number;
}

export type Header =
  | Welcome
  | (Numbered & { readonly type: "result"; readonly n: number; readonly ok?: boolean })
  | (Numbered & { readonly type: "receipt"; readonly n: number; readonly stage: string })
  | (Numbered & {
      readonly type: "error";
      readonly n: number;
      readonly code: string;
      readonly message?: string;
    })
  | (Numbered & { readonly type: "push" })
  | (Numbered & { readonly type: "ack" })
  | (Numbered & { readonly type: "drain"; readonly within: number });

/**
 * The members that each type has to have, after a letter for what they have to be: text, a flag,
 * a whole number, or a count, which is not 0.
 */
const NEEDED = new Map([
  ["welcome", "tsid tkey tepoch frecovered wack wttl cwindow cwindow_bytes wmessage"],
  ["result", "cs cn"],
  ["receipt", "cn tstage"],
  ["error", "cn tcode"],
  ["push", "cs"],
  ["ack", "wack"],
  ["drain", "wwithin"],
]);

/** Those that all but the first of them may have. */
const ALLOWED = "cs wack fok tmessage";

/** Whether a header has these members as they have to be, or, if they may be missing, has not. */
const has = (header: Record<string, unknown>, members: string, mayMiss: boolean): boolean =>
  members.split(" ").every((member) => {
    const [kind] = member;
    const value = header[member.slice(1)];
    if (mayMiss && value === undefined) return true;
    if (kind === "t") return typeof value === "string";
    if (kind === "f") return typeof value === "boolean";
    return Number.isSafeInteger(value) && (value as number) >= Number(kind === "c");
  });

/** Throw unless the gateway keeps the contract. */
export function must(keeps: unknown): asserts keeps {
  if (!keeps) throw new Error();
}

/** Return a message's header, and its payload where the type has one. */
export function read(data: string | ArrayBuffer): { header: Header; payload?: Content } {
  const whole = typeof data === "string" ? data : new Uint8Array(data);
  const end = typeof whole === "string" ? whole.indexOf("\n") : whole.indexOf(LINE_FEED);
  const first = end < 0 ? whole : whole.slice(0, end);
  must(sizeOf(first) <= MAX_HEADER);
  const header = JSON.parse(new Content(first).text());
  const { type } = header;
  must(NEEDED.has(type) && has(header, NEEDED.get(type)!, false));
  must(type === "welcome" || has(header, ALLOWED, true));
  const hasPayload = type === "result" || type === "push";
  must(hasPayload === end >= 0 && (hasPayload || whole === data));
  return hasPayload ? { header, payload: new Content(whole.slice(end + 1)) } : { header };
}

/** Return the first message of a socket; with a session it asks for that one. */
export const hello = (session?: SessionKey | null, seen?: number, token?: string): string =>
  JSON.stringify({ type: "hello", sid: session?.sid, key: session?.key, seen, token });

/** Return a message; `ttl` is what is left of its time. */
export function write(
  type: "request" | "notify",
  n: number,
  ttl: number | undefined,
  repeat: "safe" | undefined,
  ack: number | undefined,
  body: Data,
): Data {
  const line = JSON.stringify({ type, n, ttl, repeat, ack });
  if (typeof body === "string") return `${line}\n${body}`;
  const head = encoder.encode(`${line}\n`);
  const message = new Uint8Array(head.length + body.length);
  message.set(head);
  message.set(body, head.length);
  return message;
}

/** Return "I have all up to this one". */
export const acknowledge = (ack: number): string => JSON.stringify({ type: "ack", ack });

/** Ends the session. */
export const BYE = '{"type":"bye"}';

/**
 * A gateway of docs/wire.md, read a second time, behind a network that breaks at any moment.
 *
 * It is strict: whatever a browser may not say is an error of the test. It counts how often each
 * message takes effect, which the wire promises to be once.
 */
import type { Socket, SocketConstructor } from "../src/types.js";

interface Header {
  type: string;
  n?: number;
  ack?: number;
  seen?: number;
  sid?: string;
  key?: string;
  ttl?: number;
  stage?: string;
  code?: string;
}

interface Kept {
  readonly s: number;
  readonly line: string;
  readonly isPush: boolean;
}

class GatewaySession {
  key = "";
  shown = "";
  /** Payloads by number, of all that were taken in. */
  readonly taken = new Map<number, string>();
  readonly pending = new Set<number>();
  kept: Kept[] = [];
  lost: [number, number][] = [];
  sent = 0;
  acknowledged = 0;
  wire: Wire | undefined;
  /** The browser has said something after the welcome. */
  isKnown = false;

  constructor(readonly sid: string) {}
}

/** One socket: what is said on it takes its time, and is lost with it. */
class Wire implements Socket {
  binaryType = "blob";
  protocol = "";
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  isOpen = true;
  session: GatewaySession | undefined;
  #lines: [(() => void)[], (() => void)[]] = [[], []];

  constructor(
    readonly gateway: ModelGateway,
    readonly protocols: string[],
  ) {
    gateway.wires.add(this);
    this.#later(0, () => {
      this.protocol = protocols[0]!;
      this.onopen?.();
    });
  }

  send(data: string): void {
    if (!this.isOpen) return;
    this.#later(1, () => this.gateway.heard(this, data));
  }

  /** From the gateway. */
  say(line: string): void {
    this.#later(0, () => this.onmessage?.({ data: line }));
  }

  close(): void {
    this.cut();
  }

  /** The network breaks: both sides learn it, and what was on its way is lost. */
  cut(code = 1006): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.gateway.wires.delete(this);
    if (this.session?.wire === this) this.session.wire = undefined;
    setTimeout(() => this.onclose?.({ code, reason: "" }), 1);
  }

  /** In each direction, things come in the order in which they were said. */
  #later(direction: 0 | 1, what: () => void): void {
    const line = this.#lines[direction];
    line.push(what);
    setTimeout(() => this.isOpen && line.shift()!(), this.gateway.random() * 20);
  }
}

export class ModelGateway {
  readonly wires = new Set<Wire>();
  readonly Socket: SocketConstructor;
  /** How often each message took effect, by its payload, in whatever session. */
  readonly effects = new Map<string, number>();
  /** The order in which they did. */
  readonly order: string[] = [];
  readonly pushed = new Set<string>();
  readonly errors: string[] = [];
  window = { messages: 8, bytes: 2000 };
  #sessions = new Map<string, GatewaySession>();
  #made = 0;

  constructor(readonly random: () => number) {
    const gateway = this;
    this.Socket = class extends Wire {
      constructor(_url: string, protocols: string[]) {
        super(gateway, protocols);
      }
    };
  }

  cutAll(): void {
    for (const wire of [...this.wires]) wire.cut();
  }

  /** Forget all sessions, as a restart does. */
  restart(): void {
    this.#sessions.clear();
    for (const wire of [...this.wires]) wire.cut(1001);
  }

  /** Say something to whoever has a session. */
  push(text: string): void {
    for (const session of this.#sessions.values()) {
      if (!session.isKnown) continue; // its welcome may have been lost, and the session with it
      this.pushed.add(text);
      this.#keep(session, { type: "push" }, text, true);
    }
  }

  /** Forget the oldest pushes of who is away, for want of room. */
  dropPushes(): void {
    for (const session of this.#sessions.values()) {
      if (session.wire) continue;
      for (const { s } of session.kept.filter(({ isPush }) => isPush).slice(0, 2)) {
        session.kept = session.kept.filter((each) => each.s !== s);
        session.lost = ranges([...session.lost, [s, s]]);
      }
    }
  }

  heard(wire: Wire, data: string): void {
    const end = data.indexOf("\n");
    const header: Header = JSON.parse(end < 0 ? data : data.slice(0, end));
    const payload = end < 0 ? undefined : data.slice(end + 1);
    const { session } = wire;
    if (!session) {
      this.#hello(wire, header);
      return;
    }
    session.shown = session.key;
    session.isKnown = true;
    if (header.ack !== undefined) this.#acknowledge(session, header.ack);
    if (header.type === "request" || header.type === "notify") {
      this.#take(session, header, payload!);
    } else if (header.type === "bye") {
      this.#sessions.delete(session.sid);
    } else if (header.type !== "ack") this.errors.push(`${header.type} was not expected`);
  }

  #hello(wire: Wire, header: Header): void {
    if (header.type !== "hello") {
      this.errors.push(`${header.type} before hello`);
      return;
    }
    let session = this.#sessions.get(header.sid ?? "");
    if (session && header.key !== session.key && header.key !== session.shown) session = undefined;
    const isNew = !session;
    session ??= new GatewaySession(`sid-${++this.#made}`);
    this.#sessions.set(session.sid, session);
    session.shown = header.key ?? "";
    session.key = `key-${++this.#made}`;
    session.wire?.cut(4510);
    session.wire = wire;
    wire.session = session;
    if (!isNew) this.#acknowledge(session, header.seen ?? 0);
    const { lost } = session;
    const welcome = {
      type: "welcome",
      sid: session.sid,
      key: session.key,
      epoch: "e",
      recovered: !isNew && !lost.length,
      ...(lost.length && { lost }),
      ack: session.taken.size,
      ttl: 120000,
      window: this.window.messages,
      window_bytes: this.window.bytes,
      message: 100_000,
    };
    wire.say(JSON.stringify(welcome));
    for (const { line } of session.kept) wire.say(line);
  }

  #acknowledge(session: GatewaySession, ack: number): void {
    if (ack > session.sent) this.errors.push(`ack ${ack} of ${session.sent}`);
    session.acknowledged = Math.max(session.acknowledged, ack);
    session.kept = session.kept.filter(({ s }) => s > ack);
    const left = session.lost.filter(([, last]) => last > ack);
    session.lost = left.map(([first, last]) => [Math.max(first, ack + 1), last]);
  }

  #take(session: GatewaySession, { type, n = 0, ttl }: Header, payload: string): void {
    const known = session.taken.get(n);
    if (known !== undefined) {
      if (known !== payload) this.errors.push(`another payload under ${n}`);
      return;
    }
    if (n !== session.taken.size + 1) this.errors.push(`${n} after ${session.taken.size}`);
    session.taken.set(n, payload);
    session.pending.add(n);
    const bytes = [...session.pending].reduce((sum, each) => sum + size(session, each), 0);
    if (session.pending.size > this.window.messages) this.errors.push("beyond the window");
    if (session.pending.size > 1 && bytes > this.window.bytes) this.errors.push("too many bytes");
    if (ttl === 0) {
      this.#end(session, n, { type: "error", n, code: "EXPIRED" });
      return;
    }
    this.effects.set(payload, (this.effects.get(payload) ?? 0) + 1);
    this.order.push(payload);
    if (type === "notify") this.#end(session, n, { type: "receipt", n, stage: "sent" });
    else
      setTimeout(() => this.#end(session, n, { type: "result", n }, payload), this.random() * 80);
  }

  #end(session: GatewaySession, n: number, header: Header, payload?: string): void {
    session.pending.delete(n);
    this.#keep(session, header, payload, false);
  }

  #keep(session: GatewaySession, header: Header, payload: string | undefined, isPush: boolean) {
    const s = ++session.sent;
    const line = JSON.stringify({ ...header, s });
    const message = payload === undefined ? line : `${line}\n${payload}`;
    session.kept.push({ s, line: message, isPush });
    session.wire?.say(message);
  }
}

const size = (session: GatewaySession, n: number): number =>
  Buffer.byteLength(session.taken.get(n)!);

function ranges(pairs: [number, number][]): [number, number][] {
  const joined: [number, number][] = [];
  for (const [first, last] of pairs.sort(([a], [b]) => a - b)) {
    const before = joined.at(-1);
    if (before && before[1] + 1 === first) before[1] = last;
    else joined.push([first, last]);
  }
  return joined;
}

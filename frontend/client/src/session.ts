/**
 * A session of `orion.v2`, across its sockets: numbers, acknowledgements, resume.
 *
 * Where a message of the gateway would leave a hole in its numbering, or answers what was never
 * asked, the contract is broken and the session cannot be trusted any more.
 */
import { type ErrorCode, OrionError } from "./codes.js";
import { Conversation } from "./conversation.js";
import type { Message, Room } from "./queue.js";
import type { SessionKey } from "./types.js";
import * as wire from "./wire.js";
import { must } from "./wire.js";

/** How many messages of the gateway are acknowledged together, at most. */
const ACK_MESSAGES = 16;
/** The part of `window_bytes` after which they are, however few: the gateway has to keep it all. */
const ACK_SHARE = 4;
/** How long an acknowledgement waits for a message that it can go with. */
const ACK_AFTER = 1_000;

type Pair = readonly [number, number];
type Ending = wire.Header & { type: "result" | "receipt" | "error" };

export class Session extends Conversation {
  /** What the last welcome has given us. */
  key: SessionKey | null;
  /** The session was another page's: what that has sent, and has seen, is not known here. */
  #isAdopted: boolean;
  /** Up to here the messages are those of another page; undefined before that is known. */
  #foreign: number | undefined;
  #seen = 0;
  #lost: Pair[] = [];
  #acknowledged = 0;
  /** Bytes of payload that are not acknowledged. */
  #unacknowledged = 0;
  #ackAt = Infinity;

  constructor(room: Room, patience: number, session: SessionKey | null) {
    super(room, patience);
    this.key = session;
    this.#isAdopted = session !== null;
  }

  override get wakeAt(): number {
    return Math.min(super.wakeAt, this.#ackAt);
  }

  override tick(now: number): void {
    if (now >= this.#ackAt) this.#acknowledge();
    super.tick(now);
  }

  override leave(why: string): void {
    this.key = null;
    this.#ackAt = Infinity;
    if (this.stage === "online" || this.stage === "draining") this.#say(wire.BYE);
    super.leave(why);
  }

  protected override attach(token?: string): void {
    const seen = this.key && !this.#isAdopted ? this.#seen : undefined;
    this.#say(wire.hello(this.key, seen, token));
  }

  protected override leftAlone(): void {
    this.#ackAt = Infinity;
  }

  protected override write(message: Message, now: number): wire.Data {
    const { kind, n, repeat, body, isGhost, deadline } = message;
    // Nobody waits for a ghost: if it has not been delivered, it need not be.
    const ttl = isGhost ? 0 : Math.max(Math.trunc(deadline - now), 0);
    return wire.write(kind, n, ttl, repeat, this.#takeAck(), body);
  }

  protected override hear(data: string | ArrayBuffer, now: number): void {
    const { header, payload } = wire.read(data);
    const { type, s, ack = 0 } = header as wire.Header & { s?: number };
    must((type === "welcome") === (this.stage === "attaching"));
    if (header.type === "welcome") {
      this.#welcomed(header, now);
      return;
    }
    must(ack <= this.outbound.lastNumber);
    if (header.type === "drain") {
      this.stage = "draining";
      this.tell("drain", { within: header.within });
    } else if (s && this.#isNews(s)) {
      if (header.type === "push") this.tell("push", payload!);
      else this.#outcome(header as Ending, payload);
      this.#arrived(payload ? payload.size : 0, now);
    } else if (header.type === "error" && !s) {
      this.tell("error", failure(header.code, header.message));
    }
  }

  #welcomed(welcome: wire.Welcome, now: number): void {
    const { sid, key, ack, window, window_bytes, lost = [], recovered } = welcome;
    const missing = sumOf(lost);
    must(missing >= 0);
    const had = this.key;
    const isNew = sid !== had?.sid;
    if (isNew) {
      must(!recovered && !missing);
      this.#isAdopted = false;
      this.#seen = this.#foreign = 0;
      this.#lost = [];
      this.beginAgain("SESSION_LOST");
    }
    this.#foreign ??= this.outbound.lastNumber = ack;
    must(ack <= this.outbound.lastNumber);
    const news = missing - sumOf(this.#lost); // those behind unseen messages are told again
    this.#lost = [...lost];
    this.key = { sid, key };
    this.window = { messages: window, bytes: window_bytes };
    this.most = welcome.message;
    this.#acknowledged = this.#seen; // the hello has said so
    this.#passOverLost();
    this.stage = "online";
    const replaced = isNew && had !== null;
    const session = { sid, key, recovered, replaced, lost: news };
    this.out.push({ do: "attached", session });
    // Even what nobody waits for any more: the numbers have to go on without a gap.
    for (const each of this.outbound.sentAbove(ack)) this.send(each, now);
  }

  #outcome(header: Ending, payload: wire.Content | undefined): void {
    const { type, n } = header;
    const message = this.outbound.find(n);
    if (!message) {
      must(n <= this.#foreign!);
      return; // the page that has asked is no more
    }
    if (type === "error") {
      this.settle(message, failure(header.code, header.message));
      return;
    }
    must((type === "result") === (message.kind === "request"));
    if (type === "receipt") this.settle(message, { n, stage: "sent" });
    else this.settle(message, header.ok === false ? notOk(payload!) : payload!);
  }

  // The gateway's numbers

  /** Take note of a number; say whether it has not been seen before. */
  #isNews(s: number): boolean {
    if (s <= this.#seen) return false;
    if (this.#isAdopted) this.#lost = this.#lost.filter(([first]) => first > s);
    else must(s === this.#seen + 1);
    this.#isAdopted = false; // from here on nothing may be missing
    this.#seen = s;
    this.#passOverLost();
    return true;
  }

  #passOverLost(): void {
    while (this.#lost[0]?.[0] === this.#seen + 1) this.#seen = this.#lost.shift()![1];
  }

  #arrived(size: number, now: number): void {
    this.#unacknowledged += size;
    const isMuch = this.#unacknowledged * ACK_SHARE >= this.window.bytes;
    if (isMuch || this.#seen - this.#acknowledged >= ACK_MESSAGES) this.#acknowledge();
    else this.#ackAt = Math.min(this.#ackAt, now + ACK_AFTER);
  }

  #acknowledge(): void {
    const ack = this.#takeAck();
    if (ack) this.#say(wire.acknowledge(ack));
  }

  #say(data: string): void {
    this.out.push({ do: "send", data });
  }

  /** Return what is to be acknowledged with the message that goes out now. */
  #takeAck(): number | undefined {
    this.#ackAt = Infinity;
    this.#unacknowledged = 0;
    if (this.#seen === this.#acknowledged) return undefined;
    this.#acknowledged = this.#seen;
    return this.#seen;
  }
}

/** Return how many numbers there are in ranges. */
const sumOf = (ranges: readonly Pair[]): number =>
  ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);

/** A code of a later gateway is passed on as it is. */
export const failure = (code: string, message = ""): OrionError =>
  new OrionError(code as ErrorCode, message || code);

/** The backend has said no. */
export const notOk = (payload: wire.Content): OrionError =>
  new OrionError("NOT_OK", "the backend says no", undefined, payload);

/**
 * What both dialects have in common: messages in, outcomes out, over sockets that come and go.
 *
 * The shell says what happened, and carries out the actions that are then in `out`, in their
 * order. Nothing here knows a socket or a clock: time comes in as a number, in milliseconds, and
 * leaves as an instant to be woken at.
 */
import { type ErrorCode, OrionError } from "./codes.js";
import { type Message, Outbound, type Outcome, type Room } from "./queue.js";
import type { Events, SessionEvent } from "./types.js";
import type { Data } from "./wire.js";

export type Action =
  /** If the socket is gone by now, drop it. */
  | { do: "send"; data: Data; message?: Message }
  | { do: "settle"; message: Message; outcome: Outcome }
  /** Tell whoever listens. */
  | { do: "tell"; event: "push" | "drain" | "error"; value: Events["push" | "drain" | "error"] }
  /** Online; in a dialect with sessions, in which. */
  | { do: "attached"; session?: SessionEvent }
  /** The gateway broke the contract: end the socket, and do not come back to more of it. */
  | { do: "fault"; why: string }
  /** Nothing has been heard for so long that the socket is better replaced. */
  | { do: "stalled" }
  /** All that there is to say has been said. */
  | { do: "close" };

/** Nothing heard for so long, and an answer overdue: nobody may be there any more. */
const SILENCE = 5_000;

/** DRAINING: nothing new goes out on this socket. */
export type Stage = "offline" | "attaching" | "online" | "draining";

export abstract class Conversation {
  /** What is to be done, and is taken away by whoever does it. */
  readonly out: Action[] = [];
  stage: Stage = "offline";
  readonly outbound: Outbound;
  /** What holds until the gateway says otherwise. */
  protected window: Room = { messages: 64, bytes: 1 << 20 };
  /** The largest payload that the gateway takes, once known. */
  protected most = Infinity;
  #heardAt = 0;

  constructor(room: Room, patience: number) {
    this.outbound = new Outbound(room, patience);
  }

  /** Take a message; it is settled exactly once. */
  submit(message: Message, now: number): void {
    this.outbound.add(message);
    this.#pump(now);
    if (!message.n && this.outbound.isOverfull) {
      this.#fail(message, "QUEUE_FULL", "too much is waiting");
    }
  }

  /** Forget a message's owner; if it has not been sent it never is. Nothing is settled. */
  giveUp(message: Message, now: number): void {
    this.outbound.giveUp(message);
    this.#pump(now); // the one behind it may have waited for this one's turn
  }

  /** Take note of an open socket; a token that is given goes into the first message. */
  opened(now: number, token?: string): void {
    this.stage = "attaching";
    this.#heardAt = now;
    this.attach(token);
    this.#pump(now);
  }

  /** Take one whole message of the gateway. */
  received(data: string | ArrayBuffer, now: number): void {
    this.#heardAt = now;
    try {
      this.hear(data, now);
      this.#pump(now);
    } catch {
      // Which rule it broke can be seen from the header; what a payload says is nobody's business.
      const [header] = String(data).split("\n", 1);
      this.out.push({ do: "fault", why: `not as agreed: ${header!.slice(0, 200)}` });
    }
  }

  /** Take note that the socket is gone. */
  lost(): void {
    this.stage = "offline";
    this.leftAlone();
  }

  /** Do what is due; call it at `wakeAt`. Too early, or twice, does no harm. */
  tick(now: number): void {
    const isMute = this.#expire(now).some(
      ({ n, sentAt }) => n && sentAt >= this.#heardAt && now - sentAt >= SILENCE,
    );
    this.#pump(now);
    if (isMute && this.stage !== "offline") this.out.push({ do: "stalled" });
  }

  /** When `tick` is to be called, at the latest. */
  get wakeAt(): number {
    return this.outbound.wakeAt;
  }

  /** Settle all: what was sent as OUTCOME_UNKNOWN, what waits as CLOSED. */
  end(why: string): void {
    for (const each of this.outbound.owned) {
      this.#fail(each, each.sentAt ? "OUTCOME_UNKNOWN" : "CLOSED", why);
    }
  }

  /** End it for good, and forget all that was. */
  leave(why: string): void {
    this.end(why);
    this.outbound.beginAgain();
    this.out.push({ do: "close" });
  }

  // What a dialect has to say

  /** Say what a new socket begins with. */
  protected abstract attach(token?: string): void;
  /** Take one message of the gateway; throw if it breaks the contract. */
  protected abstract hear(data: string | ArrayBuffer, now: number): void;
  /** Return a message as it goes over the wire, under its number. */
  protected abstract write(message: Message, now: number): Data;
  /** The socket is gone. */
  protected abstract leftAlone(): void;

  // What both need

  protected send(message: Message, now: number): void {
    this.out.push({ do: "send", data: this.write(message, now), message });
    message.sentAt = now;
  }

  /** Begin a new session, and judge honestly what the old one leaves behind. */
  protected beginAgain(code: "OUTCOME_UNKNOWN" | "SESSION_LOST"): void {
    for (const each of this.outbound.beginAgain()) {
      this.#fail(each, code, "the session has ended");
    }
  }

  /** A sent message has come to its end. */
  protected settle(message: Message, outcome: Outcome): void {
    this.outbound.forget(message);
    if (!message.isGhost) this.out.push({ do: "settle", message, outcome });
  }

  protected tell<E extends "push" | "drain" | "error">(event: E, value: Events[E]): void {
    this.out.push({ do: "tell", event, value });
  }

  /** Settle a message that is given up. */
  #fail(message: Message, code: ErrorCode, why: string): void {
    this.outbound.giveUp(message);
    const outcome = new OrionError(code, why, message.sentAt ? undefined : false);
    this.out.push({ do: "settle", message, outcome });
  }

  #expire(now: number): Message[] {
    const over = this.outbound.expire(now);
    for (const each of over) {
      this.#fail(each, each.sentAt ? "TIMEOUT" : "EXPIRED", "its time is over");
    }
    return over;
  }

  /** Send what may be sent; no message whose time is over is sent. */
  #pump(now: number): void {
    if (this.stage !== "online") return;
    this.#expire(now);
    for (let next = this.outbound.next; next; next = this.outbound.next) {
      if (next.size > this.most) {
        this.#fail(next, "TOO_LARGE", `the gateway takes ${this.most} bytes`);
        continue;
      }
      if (!this.outbound.takeNext(this.window)) break;
      this.send(next, now);
    }
  }
}

/**
 * The messages of one client that have no outcome yet: those that wait, and those that were sent.
 *
 * Numbers are given when a message is first sent, so a message that is given up before leaves no
 * gap. One that is given up after that stays here as a ghost: the gateway may still ask for it,
 * and it takes its room in the window until the gateway has told its outcome.
 */
import type { OrionError, Payload } from "./codes.js";
import type { Progress, Receipt } from "./types.js";
import type { Data } from "./wire.js";

export type Outcome = Payload | Receipt | OrionError;

export interface Message {
  readonly kind: "request" | "notify";
  readonly body: Data;
  readonly size: number;
  /** When its time is over. */
  readonly deadline: number;
  /** Doing it twice does no harm. */
  readonly repeat: "safe" | undefined;
  /** Tells the owner; called by whoever carries actions out. */
  readonly settle: (outcome: Outcome) => void;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Its `n`; 0 while it waits. */
  n: number;
  /** When it was sent last, in this session or in one before; 0 if it never was. */
  sentAt: number;
  /** The owner has got an outcome already. */
  isGhost: boolean;
}

/** How much may be somewhere at a time. */
export interface Room {
  readonly messages: number;
  readonly bytes: number;
}

export class Outbound {
  #waiting = new Set<Message>();
  #waitingBytes = 0;
  readonly #sent = new Map<number, Message>();
  #sentBytes = 0;
  /** The highest number given so far. */
  lastNumber = 0;
  /** When `expire` may have something to say, at the earliest. */
  wakeAt = Infinity;

  constructor(
    readonly room: Room,
    readonly patience: number,
  ) {}

  /** All whose owners wait for an outcome. */
  get owned(): Message[] {
    return [...this.#sent.values(), ...this.#waiting].filter((each) => !each.isGhost);
  }

  /** Take a message behind all that wait. */
  add(message: Message): void {
    this.#waiting.add(message);
    this.#waitingBytes += message.size;
    this.#wakeBy(message.deadline);
  }

  /** Whether more is waiting than there is room for. */
  get isOverfull(): boolean {
    return this.#waiting.size > this.room.messages || this.#waitingBytes > this.room.bytes;
  }

  /** The message whose turn it is, which stays where it is. */
  get next(): Message | undefined {
    return this.#waiting.values().next().value;
  }

  /** Give the next message its number, if it may be sent: one may be always, however large. */
  takeNext({ messages, bytes }: Room): Message | undefined {
    const message = this.next;
    const count = this.#sent.size;
    if (!message || (count && (count >= messages || this.#sentBytes + message.size > bytes)))
      return;
    this.#stopWaiting(message);
    message.n = ++this.lastNumber;
    this.#sent.set(message.n, message);
    this.#sentBytes += message.size;
    return message;
  }

  /** Return what was sent under a number and has no outcome, ghost or not. */
  find(n: unknown): Message | undefined {
    return this.#sent.get(n as number);
  }

  /** Forget a sent message: its outcome has come. */
  forget(message: Message): void {
    this.#sent.delete(message.n);
    this.#sentBytes -= message.size;
  }

  /** Return what was sent under higher numbers, in order, ghosts included. */
  sentAbove(n: number): Message[] {
    return [...this.#sent.values()].filter((each) => each.n > n);
  }

  /** Give a message up: one that waits is never sent; of one that was sent a ghost stays. */
  giveUp(message: Message): void {
    this.#stopWaiting(message);
    message.isGhost = true;
  }

  /** Give up all whose time is over, and return them. */
  expire(now: number): Message[] {
    if (now < this.wakeAt) return [];
    this.wakeAt = Infinity;
    return this.owned.filter((message) => {
      const until = message.deadline + (message.n && this.patience);
      if (until > now) this.#wakeBy(until);
      else this.giveUp(message);
      return message.isGhost;
    });
  }

  /**
   * Begin a new session: what is safe to repeat waits again, before all that waits.
   * Returns what was sent, in order, and is not safe to repeat: its outcome is unknown.
   */
  beginAgain(): Message[] {
    const owned = [...this.#sent.values()].filter((each) => !each.isGhost);
    const others = [...this.#waiting];
    this.#waiting.clear();
    this.#waitingBytes = this.#sentBytes = this.lastNumber = 0;
    this.#sent.clear();
    for (const each of [...owned.filter(({ repeat }) => repeat), ...others]) {
      each.n = 0;
      this.add(each);
    }
    return owned.filter(({ repeat }) => !repeat);
  }

  #stopWaiting(message: Message): void {
    if (this.#waiting.delete(message)) this.#waitingBytes -= message.size;
  }

  #wakeBy(instant: number): void {
    this.wakeAt = Math.min(this.wakeAt, instant);
  }
}

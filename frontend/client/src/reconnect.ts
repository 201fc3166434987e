/**
 * When to connect again after a socket has ended, or that there is no use in it.
 *
 * Pure: time comes in as a number, chance as a function. A connection proves itself by standing
 * for a while; only then do the waits begin anew, so that a gateway which lets everybody in and
 * then throws them out is not stormed.
 */
import { mayComeBack } from "./codes.js";

/** Online for so long, a connection has proved itself. */
export const PROVED_AFTER = 5_000;
/** The longest time that a gateway may ask to spread over. */
export const MOST_ASKED = 300_000;

export class Reconnect {
  /** Tries since the last connection that has proved itself. */
  #failures = 0;
  #onlineSince: number | undefined;
  #within: number | undefined;
  /**
   * Whether the wait may be cut short. All who were told the same time to come back within are to
   * come at different moments, whatever else happens to them.
   */
  mayHurry = true;

  constructor(
    readonly first: number,
    readonly most: number,
    readonly random: () => number,
  ) {}

  /** A connection can be used from now on. */
  online(now: number): void {
    this.#onlineSince = now;
  }

  /** The gateway stops, and wants us back at a random moment in so much time. */
  comeBack(within: number): void {
    this.#within = Math.min(within, MOST_ASKED);
  }

  /** Return how long to wait for the next try; undefined if there is to be none. */
  after(code: number, now: number): number | undefined {
    const since = this.#onlineSince;
    const within = this.#within;
    this.#onlineSince = this.#within = undefined;
    if (!mayComeBack(code)) return undefined;
    if (since !== undefined && now - since >= PROVED_AFTER) this.#failures = 0;
    this.mayHurry = within === undefined;
    if (within !== undefined) return this.random() * within;
    const ceiling = Math.min(this.most, this.first * 2 ** Math.min(this.#failures++, 30));
    return this.random() * ceiling;
  }
}

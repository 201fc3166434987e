/**
 * The codes that the gateway and this client say, and what each means for whoever hears it.
 * tests/test_client_codes.py holds the tables against the gateway's own.
 */

/** Close codes of the gateway: those of RFC 6455 section 7.4, and its own. */
export const CLOSE_CODES = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  UNSUPPORTED_DATA: 1003,
  INVALID_PAYLOAD: 1007,
  INTERNAL_ERROR: 1011,
  TOO_SLOW: 4008,
  TOO_FAST: 4009,
  IDLE: 4010,
  BACKEND_ERROR: 4011,
  OVER_BUDGET: 4012,
  SLOW_CONSUMER: 4013,
  BACKEND_DOWN: 4014,
  BAD_MESSAGE: 4500,
  UNAUTHORIZED: 4508,
  SUPERSEDED: 4510,
} as const;

/** Registered close codes after which the same would happen again. */
export const FINAL_CODES: readonly number[] = [1000, 1002, 1003, 1007, 1008, 1009];

/** Whether a socket that ended with a close code is to be followed by another. */
export const mayComeBack = (code: number): boolean =>
  !FINAL_CODES.includes(code) && !(code >= 4500 && code <= 4999);

/** How a message can end, other than with a result, as the gateway says it. */
export const OUTCOMES = [
  "TIMEOUT",
  "EXPIRED",
  "OUTCOME_UNKNOWN",
  "BACKEND_DOWN",
  "BACKEND_ERROR",
  "BAD_MESSAGE",
  "TOO_LARGE",
  "OVER_BUDGET",
  "REUSED_ID",
] as const;

export type Outcome = (typeof OUTCOMES)[number];

/** An outcome of the gateway's, or one that only this client knows. */
export type ErrorCode =
  | Outcome
  /** Its `signal` was aborted. */
  | "ABORTED"
  /** It could not be sent at once, and there is no room to keep it until it can. */
  | "QUEUE_FULL"
  /** The client has ended, and the message had not been sent. */
  | "CLOSED"
  /** The backend says that it could not do what was asked; `payload` is its answer. */
  | "NOT_OK"
  /** It was sent in a session that the gateway has forgotten: it may have been done or not. */
  | "SESSION_LOST";

/** The codes that say by themselves whether the message was done. */
const NOT_DONE = ["EXPIRED", "BACKEND_DOWN", "BAD_MESSAGE", "REUSED_ID"];

export interface Payload {
  /** The payload as text. */
  text(): string;
  /** What the payload says as JSON; a SyntaxError if it is none. */
  json<T = unknown>(): T;
  bytes(): Uint8Array;
  /** Whether it came as a binary message. */
  readonly binary: boolean;
}

/** Why a message has no result. */
export class OrionError extends Error {
  override readonly name = "OrionError";
  declare readonly code: ErrorCode;
  /** The backend's answer, where `code` is `NOT_OK`. */
  declare readonly payload: Payload | undefined;
  /** Whether the message took effect; undefined if nobody can know. */
  declare readonly wasDone: boolean | undefined;

  constructor(code: ErrorCode, message: string, wasDone?: boolean, payload?: Payload) {
    super(message);
    this.code = code;
    this.payload = payload;
    this.wasDone =
      wasDone ?? (code === "BACKEND_ERROR" || (NOT_DONE.includes(code) ? false : undefined));
  }
}

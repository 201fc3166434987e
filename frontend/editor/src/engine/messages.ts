/** What the engine is asked and says (docs/engine.md), and how its payloads are read. */

import type { Payload } from "@orion-bridge/client";
import type { Applied, Standing } from "../model/ledger";
import type { Report } from "../model/types";

export interface Listing {
  readonly id: number;
  readonly name: string;
  readonly pages: number;
  readonly revision: number;
  readonly saved: number;
  readonly unsaved: boolean;
}

export interface Opened extends Standing {
  readonly document: Report;
  readonly revision: number;
  readonly unsaved: boolean;
  readonly people: number;
}

export interface Synced extends Standing {
  readonly revision: number;
  readonly unsaved: boolean;
  readonly people: number;
  readonly edits?: readonly Applied[];
  readonly reload?: boolean;
}

export type CanvasCommand = readonly [string, ...(string | number)[]];

export interface DrawnBox {
  readonly id: string;
  readonly commands: readonly [first: number, count: number];
}

/** A page as the engine draws it; `seq` says which edits are in it. */
export interface Drawing {
  readonly page: string;
  readonly seq: number;
  readonly row: number | null;
  readonly width: number;
  readonly height: number;
  readonly commands: readonly CanvasCommand[];
  readonly boxes: readonly DrawnBox[];
  readonly complete: boolean;
}

export interface Uploaded {
  readonly asset: string;
  readonly width: number;
  readonly height: number;
}

export interface Printed {
  readonly pdf: string;
  readonly bytes: number;
  readonly parts: number;
  readonly name: string;
}

export type EngineEvent =
  | ({ readonly event: "applied"; readonly document: number } & Applied)
  | {
      readonly event: "refused";
      readonly document: number;
      readonly client: string;
      readonly edit: number;
      readonly message: string;
    }
  | ({ readonly event: "at"; readonly document: number; readonly client: string } & Standing)
  | {
      readonly event: "saved";
      readonly document: number;
      readonly revision: number;
      readonly seq: number;
    }
  | { readonly event: "deleted"; readonly document: number }
  | { readonly event: "people"; readonly document: number; readonly people: number };

/** The engine has answered that it cannot do what was asked; the message is its own. */
export class NotDone extends Error {}

interface ApiResult {
  readonly success: boolean;
  readonly message: string;
}

const LINE_FEED = 10;

/** Return what an answer says, or throw `NotDone`. */
export function answer<T>(payload: Payload): T {
  return checked(payload.json<T & ApiResult>());
}

/** Return an answer with bytes behind it; a refusal comes as text, without any. */
export function answerWithBytes<T>(payload: Payload): { head: T; bytes: Uint8Array<ArrayBuffer> } {
  if (!payload.binary) return { head: answer<T>(payload), bytes: new Uint8Array() };
  const whole = payload.bytes();
  const end = whole.indexOf(LINE_FEED);
  if (end < 0) throw new NotDone("an answer without a head");
  const head = JSON.parse(new TextDecoder().decode(whole.subarray(0, end))) as T & ApiResult;
  return { head: checked(head), bytes: Uint8Array.from(whole.subarray(end + 1)) };
}

function checked<T extends ApiResult>(result: T): T {
  if (!result.success) throw new NotDone(result.message);
  return result;
}

/** Put a command and bytes into one binary payload. */
export function withBytes(command: object, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = new TextEncoder().encode(`${JSON.stringify(command)}\n`);
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return whole;
}

/** Return the event of a push, or undefined where it is none that we know. */
export function eventOf(payload: Payload): EngineEvent | undefined {
  if (payload.binary) return undefined;
  try {
    const event = payload.json<EngineEvent>();
    return typeof event === "object" && event !== null && "event" in event ? event : undefined;
  } catch {
    return undefined;
  }
}

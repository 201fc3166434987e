/**
 * What a shop's page and the editor in its frame say to each other.
 *
 * The frame says `hello` to its parent, to each origin that it allows; the parent, having checked
 * whose window and which origin it came from, answers `welcome` with one end of a MessageChannel.
 * All else goes over the channel, which no third window can speak into.
 */
import type { SessionKey } from "../types.js";

/** What a shop wants to have opened. */
export interface FrameConfig {
  readonly document?: string;
  readonly lang?: string;
  /** The frame is to follow the height of its content. */
  readonly autoHeight?: boolean;
  /** The frame stands in a modal dialogue, which Escape closes. */
  readonly modal?: boolean;
}

/** From a window to a window: `hello` of the frame, `welcome` of the shop. */
export type Greeting =
  | { readonly orion: 1; readonly type: "hello" }
  | {
      readonly orion: 1;
      readonly type: "welcome";
      readonly config: FrameConfig;
      readonly session: SessionKey | null;
    };

/** Over the channel, from the frame to the shop. */
export type FromFrame =
  | { readonly type: "token"; readonly id: number }
  | { readonly type: "session"; readonly session: SessionKey | null }
  | { readonly type: "event"; readonly name: string; readonly detail?: unknown }
  | { readonly type: "height"; readonly height: number }
  | { readonly type: "escape" };

/** Over the channel, from the shop to the frame. */
export type FromShop =
  | {
      readonly type: "token";
      readonly id: number;
      readonly token?: string;
      readonly error?: string;
    }
  | { readonly type: "command"; readonly name: string; readonly detail?: unknown };

/** Whether something that came by `postMessage` is a greeting of this kind. */
export const isGreeting = (data: unknown, type: Greeting["type"]): boolean =>
  typeof data === "object" &&
  data !== null &&
  (data as Greeting).orion === 1 &&
  (data as Greeting).type === type;

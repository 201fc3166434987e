/** What the badge says of the link; it tells the truth, and in this order of importance. */

import type { State } from "@orion-bridge/client";
import type { Said } from "../workspace/view";

/** Close codes of the gateway (docs/wire.md). */
const UNAUTHORIZED = 4508;
const SUPERSEDED = 4510;

export interface Shown {
  readonly tone: "good" | "busy" | "bad";
  readonly said: Said;
  /** A try can be made by hand. */
  readonly canRetry: boolean;
}

/** The gateway lets nobody in without a token, or not with this one. */
export function isRefused(link: State): boolean {
  return link.phase === "closed" && link.code === UNAUTHORIZED;
}

/**
 * @param waiting edits that the engine has not applied yet
 * @param now in milliseconds since the epoch
 */
export function badgeOf(link: State, waiting: number, now: number): Shown {
  switch (link.phase) {
    case "online":
      return waiting
        ? { tone: "busy", said: { key: "sending", values: { count: waiting } }, canRetry: false }
        : { tone: "good", said: { key: "online" }, canRetry: false };
    case "connecting":
      return { tone: "busy", said: { key: "connecting" }, canRetry: false };
    case "waiting": {
      const seconds = Math.max(0, Math.ceil(((link.retryAt ?? now) - now) / 1000));
      return {
        tone: "busy",
        said: {
          key: waiting ? "reconnectingWith" : "reconnecting",
          values: { seconds, count: waiting },
        },
        canRetry: true,
      };
    }
    case "offline":
      return { tone: "bad", said: { key: "offline", values: { count: waiting } }, canRetry: true };
    case "closed":
      if (link.code === SUPERSEDED)
        return { tone: "bad", said: { key: "superseded" }, canRetry: true };
      if (isRefused(link)) return { tone: "bad", said: { key: "letInByShop" }, canRetry: true };
      return {
        tone: "bad",
        said: { key: "closed", values: { code: link.code ?? 0, count: waiting } },
        canRetry: true,
      };
  }
}

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

/** How far the engine is with our edits, as far as we can hear. */
export interface Standing {
  /** Edits that it has not applied yet. */
  readonly waiting: number;
  /** Of these, those that are no longer under the hand. */
  readonly sending: number;
  /** For so long it has said nothing, though it owes us something, in milliseconds. */
  readonly silentFor: number;
  /** The browser says that the network is gone, and nothing has been heard since. */
  readonly doubted: boolean;
}

/** Milliseconds without an answer, until that is said. */
const SILENCE = 3_000;

/** @param now in milliseconds since the epoch */
export function badgeOf(link: State, standing: Standing, now: number): Shown {
  const { waiting, sending, silentFor, doubted } = standing;
  switch (link.phase) {
    case "online":
      if (doubted) return offline(waiting);
      if (silentFor >= SILENCE) {
        const seconds = Math.floor(silentFor / 1000);
        const said = { key: "noAnswer", values: { seconds, count: waiting } } as const;
        return { tone: "busy", said, canRetry: true };
      }
      return sending
        ? { tone: "busy", said: { key: "sending", values: { count: sending } }, canRetry: false }
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
      return offline(waiting);
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

function offline(waiting: number): Shown {
  return { tone: "bad", said: { key: "offline", values: { count: waiting } }, canRetry: true };
}

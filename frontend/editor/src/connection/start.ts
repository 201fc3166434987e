/** How the editor finds its gateway, its shop and its document. */

import { type Frame, inFrame, isFramed } from "@orion-bridge/client/frame";

const WELL_KNOWN = "/.well-known/orion-bridge.json";

export interface Place {
  /** Where the WebSocket is, on our own origin. */
  readonly path: string;
  /** Who may embed us: origins, of which `https://*.shop.example` stands for many. */
  readonly embedIn: readonly string[];
}

/** What the page's address says, behind its `#`: no server ever hears that. */
export interface Address {
  readonly token: string | null;
  readonly document: number | null;
}

/** Ask the gateway about itself; without an answer, what it does by default. */
export async function findPlace(): Promise<Place> {
  try {
    const response = await fetch(WELL_KNOWN, { signal: AbortSignal.timeout(5_000) });
    const said = (await response.json()) as { path?: unknown; embed_in?: unknown };
    return {
      path: typeof said.path === "string" ? said.path : "/ws",
      embedIn: Array.isArray(said.embed_in) ? said.embed_in.map(String) : [],
    };
  } catch {
    return { path: "/ws", embedIn: [] };
  }
}

/** Become acquainted with the shop around us, if there is one. */
export async function findShop(embedIn: readonly string[]): Promise<Frame | null> {
  if (!isFramed()) return null;
  return inFrame({ shops: shopsOf(embedIn, document.referrer) });
}

/**
 * The exact origins that may be our shop: those that are written out, and the one that has loaded us
 * where it goes by a pattern.
 */
export function shopsOf(embedIn: readonly string[], referrer: string): string[] {
  const exact = embedIn.filter((each) => !each.includes("*"));
  if (!referrer) return exact;
  const { origin } = new URL(referrer);
  const fits = embedIn.some((each) => {
    const [before, after] = each.split("*.");
    if (before === undefined || after === undefined || !origin.startsWith(before)) return false;
    const label = origin.slice(before.length, -(after.length + 1));
    return origin.endsWith(`.${after}`) && /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/i.test(label);
  });
  return fits && !exact.includes(origin) ? [...exact, origin] : exact;
}

export function readAddress(hash: string): Address {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  return { token: said.get("token"), document: numberOf(said.get("document")) };
}

/** Write the document into the address, for a reload to find; the token stays. */
export function writeAddress(document: number): void {
  const said = new URLSearchParams(location.hash.replace(/^#/, ""));
  said.set("document", String(document));
  history.replaceState(null, "", `#${said}`);
}

export function numberOf(text: string | null | undefined): number | null {
  return text && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/**
 * Edits that the engine has not applied yet, kept over a reload of the page, in sessionStorage. They are
 * there only while no page is: a tab that is duplicated must not take them, too. Where storage is
 * refused, as in some browsers' frames, edits live as long as the page, and leaving it warns.
 */

import type { Kept } from "../model/ledger";

const KEY = "orion-editor.edits";

/** Take what the page before has left; it is gone then. */
export function take(): readonly Kept[] {
  try {
    const kept = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    return kept === null ? [] : (JSON.parse(kept) as readonly Kept[]).filter(isKept);
  } catch {
    return [];
  }
}

/** Leave edits for the next page; false where that cannot be done. */
export function leave(kept: readonly Kept[]): boolean {
  try {
    if (kept.length) sessionStorage.setItem(KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(KEY);
    return true;
  } catch {
    return false;
  }
}

function isKept(value: Kept): boolean {
  return (
    typeof value.document === "number" &&
    typeof value.client === "string" &&
    typeof value.next === "number" &&
    Array.isArray(value.edits)
  );
}

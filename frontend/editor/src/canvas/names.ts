/** What an object is called by whoever cannot see it. */

import type { PageObject } from "../model/types";
import type { Say } from "../workspace/use";

export function nameOf(object: PageObject, t: Say): string {
  const kind = t(object.kind);
  if (!("text" in object)) return kind;
  const text = object.text.replace(/\s+/g, " ").trim();
  return text ? `${kind}: ${text.slice(0, 60)}` : kind;
}

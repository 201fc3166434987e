/** How much room a text takes. */

import { tidy } from "../model/geometry";
import type { TextObject } from "../model/types";
import { LINE_HEIGHT, wrapped } from "./draft";
import { fontOf } from "./fonts";

let context: CanvasRenderingContext2D | null | undefined;

/** Return how high a box has to be to show the whole text; 0 where nothing can be measured. */
export function heightOf(object: TextObject): number {
  if (context === undefined) context = document.createElement("canvas").getContext("2d");
  if (!context) return 0;
  context.font = fontOf(object);
  const measure = (part: string) => context!.measureText(part).width;
  const lines = wrapped(object.text, object.width, measure, Number.POSITIVE_INFINITY);
  return tidy(lines.length * object.size * LINE_HEIGHT);
}

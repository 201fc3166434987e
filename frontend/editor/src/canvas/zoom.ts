/** How large a page stands on the screen. */

import type { Page } from "../model/types";
import type { Zoom } from "../workspace/view";

/** CSS pixels of a point at 100 %. */
export const PIXELS = 96 / 72;
export const LEAST = 0.1;
export const MOST = 8;
const STEPS = [0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4, 6, 8];
/** Around a page, in CSS pixels. */
export const MARGIN = 28;

export interface Room {
  readonly width: number;
  readonly height: number;
}

/** Return the zoom as a number, 1 for 100 %. The width is not blown up above that. */
export function factor(zoom: Zoom, page: Page, room: Room): number {
  if (typeof zoom === "number") return zoom;
  const across = (room.width - 2 * MARGIN) / (page.width * PIXELS);
  if (zoom === "width") return clamped(Math.min(across, 1));
  const down = (room.height - 2 * MARGIN) / (page.height * PIXELS);
  return clamped(Math.min(across, down, 2));
}

export function clamped(zoom: number): number {
  return Math.min(MOST, Math.max(LEAST, zoom));
}

/** The next step up or down. */
export function stepped(zoom: number, up: boolean): number {
  const next = up
    ? STEPS.find((step) => step > zoom + 0.001)
    : STEPS.findLast((step) => step < zoom - 0.001);
  return next ?? (up ? MOST : LEAST);
}

/** Align, distribute, stack and snap: what to do with several objects, as changes. */

import { type Box, bounds, tidy, union } from "./geometry";
import type { Change, Page, PageObject } from "./types";

export type Edge = "left" | "center" | "right" | "top" | "middle" | "bottom";
export type Stacking = "front" | "forward" | "backward" | "back";

/** Align objects with each other, or one alone with its page. */
export function aligned(objects: readonly PageObject[], page: Page, edge: Edge): Change[] {
  const frame: Box =
    objects.length > 1
      ? union(objects.map(bounds))
      : { x: 0, y: 0, width: page.width, height: page.height };
  return objects.flatMap((object) => {
    const box = bounds(object);
    switch (edge) {
      case "left":
        return moved(object, frame.x - box.x, 0);
      case "center":
        return moved(object, frame.x + (frame.width - box.width) / 2 - box.x, 0);
      case "right":
        return moved(object, frame.x + frame.width - box.width - box.x, 0);
      case "top":
        return moved(object, 0, frame.y - box.y);
      case "middle":
        return moved(object, 0, frame.y + (frame.height - box.height) / 2 - box.y);
      case "bottom":
        return moved(object, 0, frame.y + frame.height - box.height - box.y);
    }
    return [];
  });
}

/** Give three or more objects equal gaps; the outermost stay. */
export function distributed(objects: readonly PageObject[], across: boolean): Change[] {
  if (objects.length < 3) return [];
  const start = (box: Box) => (across ? box.x : box.y);
  const length = (box: Box) => (across ? box.width : box.height);
  const sorted = objects
    .map((object) => ({ object, box: bounds(object) }))
    .sort((one, other) => start(one.box) - start(other.box));
  const frame = union(sorted.map(({ box }) => box));
  const taken = sorted.reduce((sum, { box }) => sum + length(box), 0);
  const gap = (length(frame) - taken) / (sorted.length - 1);
  let next = start(frame);
  return sorted.flatMap(({ object, box }) => {
    const way = next - start(box);
    next += length(box) + gap;
    return across ? moved(object, way, 0) : moved(object, 0, way);
  });
}

export function moved(object: PageObject, dx: number, dy: number): Change[] {
  const set = { x: tidy(object.x + dx), y: tidy(object.y + dy) };
  if (set.x === object.x && set.y === object.y) return [];
  return [{ op: "set", id: object.id, set }];
}

/** Move objects up or down in their page's order, keeping their own order. */
export function stacked(page: Page, ids: readonly string[], how: Stacking): Change[] {
  const order = page.objects.map((object) => object.id);
  const chosen = order.filter((id) => ids.includes(id));
  const changes: Change[] = [];
  const place = (id: string, at: number) => {
    const from = order.indexOf(id);
    if (from === at) return;
    order.splice(from, 1);
    order.splice(at, 0, id);
    changes.push({ op: "order", id, at });
  };
  if (how === "front") for (const id of chosen) place(id, order.length - 1);
  if (how === "back") for (const id of [...chosen].reverse()) place(id, 0);
  if (how === "forward")
    for (const id of [...chosen].reverse()) {
      const at = order.indexOf(id) + 1;
      if (at < order.length && !chosen.includes(order[at]!)) place(id, at);
    }
  if (how === "backward")
    for (const id of chosen) {
      const at = order.indexOf(id) - 1;
      if (at >= 0 && !chosen.includes(order[at]!)) place(id, at);
    }
  return changes;
}

export interface Snapped {
  readonly dx: number;
  readonly dy: number;
  /** Where the edges meet, to be shown: x of upright lines, y of level ones. */
  readonly across: readonly number[];
  readonly down: readonly number[];
}

/**
 * Bend a way so that the moved box meets edges or middles of others, or of the page.
 *
 * @param reach how near, in points, an edge has to be
 */
export function snapped(
  box: Box,
  way: { dx: number; dy: number },
  page: Page,
  others: readonly Box[],
  reach: number,
): Snapped {
  const targets: readonly Box[] = [
    { x: 0, y: 0, width: page.width, height: page.height },
    ...others,
  ];
  const x = nearest(
    lines(box.x + way.dx, box.width),
    targets.flatMap((each) => lines(each.x, each.width)),
    reach,
  );
  const y = nearest(
    lines(box.y + way.dy, box.height),
    targets.flatMap((each) => lines(each.y, each.height)),
    reach,
  );
  return {
    dx: way.dx + (x?.by ?? 0),
    dy: way.dy + (y?.by ?? 0),
    across: x ? [x.at] : [],
    down: y ? [y.at] : [],
  };
}

function lines(start: number, length: number): number[] {
  return [start, start + length / 2, start + length];
}

function nearest(
  own: readonly number[],
  targets: readonly number[],
  reach: number,
): { by: number; at: number } | null {
  let best: { by: number; at: number } | null = null;
  for (const at of targets)
    for (const line of own) {
      const by = at - line;
      if (Math.abs(by) <= (best ? Math.abs(best.by) - 1e-9 : reach)) best = { by, at };
    }
  return best;
}

/** What the pointer does to the selected objects: moves, pulls at a handle, turns. Pure, as changes. */

import { type Snapped, snapped } from "../model/arrange";
import {
  type Box,
  bounds,
  type Geometry,
  type Handle,
  type Point,
  resized,
  resizedTogether,
  rotationTo,
  tidy,
  turnedTogether,
  union,
} from "../model/geometry";
import type { Change, Page, PageObject } from "../model/types";

export interface Keys {
  readonly shift: boolean;
  /** Without snapping for once. */
  readonly alt: boolean;
}

export interface Moved {
  readonly changes: readonly Change[];
  readonly guides: Pick<Snapped, "across" | "down">;
}

const NO_GUIDES = { across: [], down: [] };

/**
 * Move objects by a way.
 *
 * @param reach how near an edge has to be to snap, in points; 0 for not at all
 */
export function move(
  objects: readonly PageObject[],
  way: Point,
  page: Page,
  reach: number,
  keys: Keys,
): Moved {
  const straight = keys.shift
    ? Math.abs(way.x) > Math.abs(way.y)
      ? { dx: way.x, dy: 0 }
      : { dx: 0, dy: way.y }
    : { dx: way.x, dy: way.y };
  const ids = new Set(objects.map(({ id }) => id));
  const others: Box[] = page.objects.filter(({ id }) => !ids.has(id)).map(bounds);
  const at =
    reach > 0 && !keys.alt
      ? snapped(union(objects.map(bounds)), straight, page, others, reach)
      : { ...straight, ...NO_GUIDES };
  const changes = objects.flatMap((object): Change[] => {
    const set = { x: tidy(object.x + at.dx), y: tidy(object.y + at.dy) };
    return set.x === object.x && set.y === object.y ? [] : [{ op: "set", id: object.id, set }];
  });
  return { changes, guides: changes.length ? { across: at.across, down: at.down } : NO_GUIDES };
}

/** Pull a handle of an object, or of the frame around several. */
export function pull(
  objects: readonly PageObject[],
  handle: Handle,
  way: Point,
  keys: Keys,
): Change[] {
  const [object, ...more] = objects;
  const hasRatio = objects.some(({ kind }) => kind === "image" || kind === "qrcode");
  const keepRatio = hasRatio !== keys.shift;
  if (!object || more.length)
    return geometryChanges(objects, resizedTogether(objects, handle, way, keepRatio));
  return geometryChanges(objects, [
    resized(object, handle, way, keepRatio && object.kind !== "line"),
  ]);
}

/** Turn an object, or several together, so that the upper edge looks at a point. */
export function turn(objects: readonly PageObject[], to: Point, keys: Keys): Change[] {
  const [object, ...more] = objects;
  if (!object || more.length) {
    const degrees = rotationTo(union(objects.map(bounds)), to, keys.shift);
    return geometryChanges(objects, turnedTogether(objects, degrees));
  }
  const rotation = rotationTo(object, to, keys.shift);
  return geometryChanges(objects, [{ ...object, rotation }]);
}

function geometryChanges(objects: readonly PageObject[], to: readonly Geometry[]): Change[] {
  return objects.flatMap((object, index) => geometryChange(object, to[index]!));
}

function geometryChange(object: PageObject, to: Geometry): Change[] {
  const set: Record<string, number> = {};
  for (const name of ["x", "y", "width", "height", "rotation"] as const)
    if (to[name] !== object[name]) set[name] = to[name];
  return Object.keys(set).length ? [{ op: "set", id: object.id, set }] : [];
}

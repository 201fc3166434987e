/**
 * A page on a canvas: what the engine has drawn, with what has changed since. An object that has only
 * been moved or turned is drawn by its own commands, elsewhere; another in draft.
 */

import type { DrawnBox } from "../engine/messages";
import { isBound } from "../model/binding";
import { middle } from "../model/geometry";
import type { Page, PageObject, Report } from "../model/types";
import type { Drawn } from "../workspace/drawings";
import { type Images, run } from "./commands";
import { drawDraft } from "./draft";

type Context = CanvasRenderingContext2D;

const GEOMETRY: ReadonlySet<string> = new Set(["x", "y", "width", "height", "rotation"]);

export interface Scene {
  readonly report: Report;
  readonly page: Page;
  readonly row: number | null;
  readonly drawn: Drawn | undefined;
  /** The object whose text is being edited: it stands in a field above the canvas. */
  readonly hidden: string | null;
  readonly images: Images;
}

/** Paint the page; the context is scaled to points already. */
export function paint(context: Context, scene: Scene): void {
  const { page, report, row, drawn, images } = scene;
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, page.width, page.height);
  const boxes = new Map(drawn?.drawing.boxes.map((box) => [box.id, box]));
  const before = drawn?.report.pages.find(({ id }) => id === page.id);
  const objects = new Map(before?.objects.map((object) => [object.id, object]));
  const sameRow = drawn !== undefined && isSameRow(drawn, report, row);
  for (const object of page.objects) {
    if (object.id === scene.hidden) continue;
    const box = boxes.get(object.id);
    const old = objects.get(object.id);
    if (drawn && box && old && (sameRow || !isBound(object)) && looksAlike(old, object))
      moveAndRun(context, old, object, drawn, box, images);
    else drawDraft(context, object, { table: report.data, number: row }, images);
  }
}

/** Whether one is the other at another place, so that its commands can be drawn there. */
export function looksAlike(old: PageObject, object: PageObject): boolean {
  if (old === object) return true;
  const [one, other] = [old, object] as unknown as Record<string, unknown>[];
  for (const name of Object.keys(other!))
    if (!GEOMETRY.has(name) && one![name] !== other![name]) return false;
  if (old.width === object.width && old.height === object.height) return true;
  // Codes and images that fill their box scale; a text breaks anew, and a stroke keeps its width.
  return object.kind === "image" && object.fit === "fill";
}

function moveAndRun(
  context: Context,
  old: PageObject,
  object: PageObject,
  drawn: Drawn,
  box: DrawnBox,
  images: Images,
): void {
  context.save();
  if (old !== object) {
    const [from, to] = [middle(old), middle(object)];
    context.translate(to.x, to.y);
    context.rotate((object.rotation * Math.PI) / 180);
    if (old.width !== object.width || old.height !== object.height)
      context.scale(object.width / old.width, object.height / old.height);
    context.rotate((-old.rotation * Math.PI) / 180);
    context.translate(-from.x, -from.y);
  }
  const [first, count] = box.commands;
  run(context, drawn.drawing.commands, first, count, images);
  context.restore();
}

function isSameRow(drawn: Drawn, report: Report, row: number | null): boolean {
  if (drawn.drawing.row !== row) return false;
  const [before, now] = [drawn.report.data, report.data];
  if (before === now || row === null) return true;
  if (!before || !now || before.columns.join("\n") !== now.columns.join("\n")) return false;
  const [old, values] = [before.rows[row], now.rows[row]];
  return old !== undefined && values !== undefined && old.join("\n") === values.join("\n");
}

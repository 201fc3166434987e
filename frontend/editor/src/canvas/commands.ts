/** The engine's drawing commands on a canvas. */

import type { CanvasCommand } from "../engine/messages";
import { withFamily } from "./fonts";

/** What draws an asset's name; undefined while it is not there. */
export type Images = (asset: string) => CanvasImageSource | undefined;

type Context = CanvasRenderingContext2D;

/** Only these: what comes over a wire must not reach just any member of the context. */
const METHODS: ReadonlySet<string> = new Set([
  "save",
  "restore",
  "translate",
  "rotate",
  "scale",
  "fillRect",
  "strokeRect",
  "clearRect",
  "beginPath",
  "closePath",
  "moveTo",
  "lineTo",
  "bezierCurveTo",
  "quadraticCurveTo",
  "arc",
  "rect",
  "clip",
  "fill",
  "stroke",
  "fillText",
  "setLineDash",
]);
const PROPERTIES: ReadonlySet<string> = new Set([
  "fillStyle",
  "strokeStyle",
  "lineWidth",
  "lineCap",
  "lineJoin",
  "textAlign",
  "textBaseline",
  "globalAlpha",
  "imageSmoothingEnabled",
]);

/** Run some of the commands. */
export function run(
  context: Context,
  commands: readonly CanvasCommand[],
  first: number,
  count: number,
  images: Images,
): void {
  const target = context as unknown as Record<string, unknown>;
  for (let index = first; index < first + count; index++) {
    const command = commands[index];
    if (!command) return;
    const [name, ...values] = command;
    if (METHODS.has(name)) (target[name] as (...args: unknown[]) => void).apply(context, values);
    else if (name === "font") context.font = withFamily(String(values[0]));
    else if (PROPERTIES.has(name)) target[name] = values[0];
    else if (name === "drawImage") drawImage(context, values, images);
  }
}

function drawImage(context: Context, values: readonly (string | number)[], images: Images): void {
  const [asset, x, y, width, height] = values as [string, number, number, number, number];
  const image = images(asset);
  if (image) context.drawImage(image, x, y, width, height);
  else placeholder(context, x, y, width, height);
}

/** Where something belongs that is not there yet. */
export function placeholder(
  context: Context,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  context.save();
  context.fillStyle = "#e8ecf2";
  context.fillRect(x, y, width, height);
  context.strokeStyle = "#b4bfcd";
  context.lineWidth = 0.75;
  context.setLineDash([4, 3]);
  context.strokeRect(x, y, width, height);
  context.restore();
}

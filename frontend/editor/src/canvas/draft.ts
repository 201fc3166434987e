/** Objects as we draw them ourselves, until the engine has: near enough to work with. */

import { filled } from "../model/binding";
import type { PageObject, Table, TextObject } from "../model/types";
import { type Images, placeholder } from "./commands";
import { fontOf } from "./fonts";

type Context = CanvasRenderingContext2D;

/** As the engine has them, in font sizes. */
export const LINE_HEIGHT = 1.25;
const ASCENT = 0.95;

export interface Row {
  readonly table: Table | null;
  readonly number: number | null;
}

export function drawDraft(context: Context, object: PageObject, row: Row, images: Images): void {
  context.save();
  context.translate(object.x + object.width / 2, object.y + object.height / 2);
  context.rotate((object.rotation * Math.PI) / 180);
  context.translate(-object.width / 2, -object.height / 2);
  drawAt(context, object, row, images);
  context.restore();
}

function drawAt(context: Context, object: PageObject, row: Row, images: Images): void {
  const { width, height } = object;
  switch (object.kind) {
    case "text":
      drawText(context, object, filled(object.text, row.table, row.number));
      break;
    case "rectangle":
      if (object.fill !== "none") {
        context.fillStyle = object.fill;
        context.fillRect(0, 0, width, height);
      }
      if (object.stroke !== "none" && object.line_width) {
        context.strokeStyle = object.stroke;
        context.lineWidth = object.line_width;
        context.strokeRect(0, 0, width, height);
      }
      break;
    case "line":
      if (!object.line_width) break;
      context.strokeStyle = object.stroke;
      context.lineWidth = object.line_width;
      context.beginPath();
      context.moveTo(0, 0);
      context.lineTo(width, height);
      context.stroke();
      break;
    case "image": {
      const image = images(object.asset) as ImageBitmap | undefined;
      if (!image) {
        placeholder(context, 0, 0, width, height);
        break;
      }
      const scale = Math.min(width / image.width, height / image.height);
      const [w, h] =
        object.fit === "fill" ? [width, height] : [image.width * scale, image.height * scale];
      context.drawImage(image, (width - w) / 2, (height - h) / 2, w, h);
      break;
    }
    case "qrcode":
      drawCode(context, Math.min(width, height), width, height, object.color);
      break;
    case "barcode":
      drawBars(context, width, height, object.color);
      break;
  }
}

function drawText(context: Context, object: TextObject, text: string): void {
  const { size, width, height, align } = object;
  context.font = fontOf(object);
  context.fillStyle = object.color;
  context.textAlign = align;
  context.textBaseline = "alphabetic";
  const x = align === "left" ? 0 : align === "center" ? width / 2 : width;
  // At least one line, so that a box made too small still shows that there is text.
  const room = Math.max(1, Math.floor(height / (size * LINE_HEIGHT) + 0.001));
  const lines = wrapped(text, width, (part) => context.measureText(part).width, room);
  for (const [number, line] of lines.entries())
    context.fillText(line, x, size * (ASCENT + LINE_HEIGHT * number));
}

/** Break text into at most `room` lines: at blanks, or anywhere in too long a word. */
export function wrapped(
  text: string,
  width: number,
  measure: (part: string) => number,
  room: number,
): string[] {
  const lines: string[] = [];
  for (const paragraph of text.replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n")) {
    let line = "";
    for (const word of paragraph.split(/(?<= )/)) {
      if (lines.length >= room) return lines;
      if (measure(line + word.trimEnd()) <= width) {
        line += word;
        continue;
      }
      if (line.trim()) lines.push(line.trimEnd());
      line = "";
      for (const letter of word) {
        if (line && measure(line + letter) > width && letter !== " ") {
          lines.push(line);
          line = "";
        }
        line += letter;
      }
    }
    lines.push(line.trimEnd());
  }
  return lines.slice(0, room);
}

/** What says "a QR code will be here": its three corners. */
function drawCode(
  context: Context,
  side: number,
  width: number,
  height: number,
  color: string,
): void {
  const [left, top] = [(width - side) / 2, (height - side) / 2];
  placeholder(context, left, top, side, side);
  context.fillStyle = color;
  context.strokeStyle = color;
  const unit = side / 25;
  context.lineWidth = unit;
  for (const [x, y] of [
    [0, 0],
    [18, 0],
    [0, 18],
  ] as const) {
    context.strokeRect(left + (x + 0.5) * unit, top + (y + 0.5) * unit, 6 * unit, 6 * unit);
    context.fillRect(left + (x + 2) * unit, top + (y + 2) * unit, 3 * unit, 3 * unit);
  }
}

function drawBars(context: Context, width: number, height: number, color: string): void {
  placeholder(context, 0, 0, width, height);
  context.fillStyle = color;
  const bars = [2, 1, 1, 3, 1, 2, 2, 1, 3, 1, 1, 2, 1, 3, 2, 1, 1, 2, 3, 1, 2, 1, 1, 3, 2, 2];
  const unit = width / bars.reduce((sum, bar) => sum + bar, 0);
  let x = 0;
  for (const [index, bar] of bars.entries()) {
    if (index % 2 === 0) context.fillRect(x, 0, bar * unit, height * 0.78);
    x += bar * unit;
  }
}

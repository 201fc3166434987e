/** The properties of each kind of object: which values they take, and what stands where none is given. */

import type { Kind, ObjectInput, PageObject, Properties } from "./types";

/** A change that the engine would refuse; the message is for a person. */
export class Refused extends Error {}

/** Points: 200 inches, the largest page that a PDF reader has to open. */
export const MOST = 14_400;
export const MOST_TEXT = 256 * 1024;
/** Characters of a QR code or a barcode, as written. */
export const MOST_CODE = 1_000;

type Check = (value: unknown) => boolean;
interface Property {
  readonly check: Check;
  readonly initial?: unknown;
}

const number =
  (least: number, most: number): Check =>
  (value) =>
    typeof value === "number" && Number.isFinite(value) && value >= least && value <= most;
const size: Check = (value) => number(0, MOST)(value) && value !== 0;
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const pattern =
  (expression: RegExp): Check =>
  (value) =>
    typeof value === "string" && expression.test(value);
const boolean: Check = (value) => typeof value === "boolean";
// The engine counts characters, not halves of surrogate pairs.
const textOf =
  (least: number, most: number): Check =>
  (value) =>
    typeof value === "string" &&
    value.length >= least &&
    (value.length <= most || Array.from(value).length <= most);
export const isName = textOf(1, 100);
export const isColumnName = textOf(1, 2_000);
export const isCell = textOf(0, 2_000);
const text = textOf(0, MOST_TEXT);
const code = textOf(0, MOST_CODE);
const color = pattern(/^#(?:[0-9a-fA-F]{3}){1,2}$/);
const fill = pattern(/^(?:none|#(?:[0-9a-fA-F]{3}){1,2})$/);
const asset = pattern(/^[0-9a-f]{64}$/);
const isId = pattern(/^[A-Za-z][A-Za-z0-9_-]{0,31}$/);

/** Points that a page may be wide, or high, at least. */
export const LEAST_PAGE = 10;
export const isPageLength = number(LEAST_PAGE, MOST);

const coordinate: Property = { check: number(-MOST, MOST) };
const placed = {
  x: coordinate,
  y: coordinate,
  rotation: { check: number(-360, 360), initial: 0 },
};
const box = { ...placed, width: { check: size }, height: { check: size } };
const lineWidth: Property = { check: number(0, 100), initial: 1 };

export const PROPERTIES: Readonly<Record<Kind, Readonly<Record<string, Property>>>> = {
  text: {
    ...box,
    text: { check: text },
    font: { check: oneOf("sans-serif", "serif", "monospace"), initial: "sans-serif" },
    size: { check: number(1, 500), initial: 14 },
    weight: { check: oneOf("normal", "bold"), initial: "normal" },
    italic: { check: boolean, initial: false },
    color: { check: color, initial: "#1f2933" },
    align: { check: oneOf("left", "center", "right"), initial: "left" },
  },
  rectangle: {
    ...box,
    fill: { check: fill, initial: "none" },
    stroke: { check: fill, initial: "#1f2933" },
    line_width: lineWidth,
  },
  line: {
    ...placed,
    width: coordinate,
    height: coordinate,
    stroke: { check: color, initial: "#1f2933" },
    line_width: lineWidth,
  },
  image: {
    ...box,
    asset: { check: asset },
    fit: { check: oneOf("contain", "fill"), initial: "contain" },
  },
  qrcode: { ...box, text: { check: code }, color: { check: color, initial: "#000000" } },
  barcode: {
    ...box,
    text: { check: code },
    symbology: { check: oneOf("code128", "ean13", "code39"), initial: "code128" },
    color: { check: color, initial: "#000000" },
    label: { check: boolean, initial: true },
  },
};

export function checkId(id: unknown): asserts id is string {
  if (!isId(id)) throw new Refused(`“${String(id)}” is no id`);
}

/** Make an object whole with the defaults of its kind, or refuse it. */
export function completed(input: ObjectInput): PageObject {
  checkId(input.id);
  const properties = Object.hasOwn(PROPERTIES, input.kind)
    ? PROPERTIES[input.kind as Kind]
    : undefined;
  if (!properties) throw new Refused(`there is no kind “${input.kind}”`);
  const result: Record<string, unknown> = { id: input.id, kind: input.kind };
  for (const [name, property] of Object.entries(properties)) {
    const value = Object.hasOwn(input, name) ? input[name] : property.initial;
    if (!property.check(value)) throw new Refused(`${name} of ${input.id} is out of range`);
    result[name] = value;
  }
  for (const name of Object.keys(input))
    if (!Object.hasOwn(result, name)) throw new Refused(`a ${input.kind} has no ${name}`);
  return result as unknown as PageObject;
}

/** Return the object with some of its properties set, or refuse it. */
export function withProperties(object: PageObject, set: Properties): PageObject {
  const properties = PROPERTIES[object.kind];
  if (Object.keys(set).length === 0) throw new Refused("nothing to set");
  for (const [name, value] of Object.entries(set)) {
    if (!Object.hasOwn(properties, name))
      throw new Refused(`a ${object.kind} has no ${name} to set`);
    if (!properties[name]!.check(value))
      throw new Refused(`${name} of ${object.id} is out of range`);
  }
  return { ...object, ...set };
}

/** Boxes, rotation, and what the handles do. Points and degrees, as in the report. */

import type { PageObject, Placed } from "./types";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

export type Geometry = Pick<Placed, "x" | "y" | "width" | "height" | "rotation">;

/** The eight handles: -1, 0, 1 across and down. */
export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"] as const;
export type Handle = (typeof HANDLES)[number];

const LEAST = 4;

export function middle(box: Box): Point {
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

export function turned(point: Point, degrees: number): Point {
  const angle = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  return { x: point.x * cos - point.y * sin, y: point.x * sin + point.y * cos };
}

/** The upright box around a turned one. */
export function bounds(geometry: Geometry): Box {
  const { x: cx, y: cy } = middle(geometry);
  const [w, h] = [Math.abs(geometry.width) / 2, Math.abs(geometry.height) / 2];
  const corners = [
    { x: -w, y: -h },
    { x: w, y: -h },
  ].map((corner) => turned(corner, geometry.rotation));
  const across = Math.max(...corners.map((corner) => Math.abs(corner.x)));
  const down = Math.max(...corners.map((corner) => Math.abs(corner.y)));
  return { x: cx - across, y: cy - down, width: 2 * across, height: 2 * down };
}

export function union(boxes: readonly Box[]): Box {
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  return { x, y, width: right - x, height: bottom - y };
}

export function touches(one: Box, other: Box): boolean {
  return (
    one.x <= other.x + other.width &&
    other.x <= one.x + one.width &&
    one.y <= other.y + other.height &&
    other.y <= one.y + one.height
  );
}

/** The box between two points, whichever is where. */
export function between(one: Point, other: Point): Box {
  const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
  return { x, y, width: Math.abs(one.x - other.x), height: Math.abs(one.y - other.y) };
}

function direction(handle: Handle): Point {
  return {
    x: handle.includes("e") ? 1 : handle.includes("w") ? -1 : 0,
    y: handle.includes("s") ? 1 : handle.includes("n") ? -1 : 0,
  };
}

/**
 * Pull a handle of an object by a way on the page; the opposite side stays where it is, turned or not.
 *
 * @param keepRatio for the corners: width and height grow alike
 */
export function resized(
  start: PageObject,
  handle: Handle,
  way: Point,
  keepRatio: boolean,
): Geometry {
  const { x: dx, y: dy } = direction(handle);
  const local = turned(way, -start.rotation);
  const line = start.kind === "line";
  const least = (value: number) => (line ? value : Math.max(LEAST, value));
  let width = dx ? least(start.width + dx * local.x) : start.width;
  let height = dy ? least(start.height + dy * local.y) : start.height;
  if (keepRatio && dx && dy && start.width && start.height) {
    const factor = Math.max(width / start.width, height / start.height);
    [width, height] = [start.width * factor, start.height * factor];
  }
  const shift = turned(
    { x: (dx * (width - start.width)) / 2, y: (dy * (height - start.height)) / 2 },
    start.rotation,
  );
  const centre = middle(start);
  return {
    x: tidy(centre.x + shift.x - width / 2),
    y: tidy(centre.y + shift.y - height / 2),
    width: tidy(width),
    height: tidy(height),
    rotation: start.rotation,
  };
}

/** Whether an object's sides are not the page's: then only both can grow, and alike. */
export function isAskew({ rotation }: Geometry): boolean {
  return rotation % 90 !== 0;
}

/**
 * Pull a handle of the frame around several objects; the frame's opposite side stays where it is, and
 * every object takes its part.
 */
export function resizedTogether(
  starts: readonly PageObject[],
  handle: Handle,
  way: Point,
  keepRatio: boolean,
): Geometry[] {
  const { x: dx, y: dy } = direction(handle);
  const frame = union(starts.map(bounds));
  const across = Math.max(shrink(starts, true), factorOf(frame.width, dx * way.x));
  const down = Math.max(shrink(starts, false), factorOf(frame.height, dy * way.y));
  const both = Math.max(across, down);
  const alike = (keepRatio && dx !== 0 && dy !== 0) || starts.some(isAskew);
  const [fx, fy] = alike ? [both, both] : [across, down];
  const [left, top] = [
    frame.x + (dx < 0 ? frame.width : 0),
    frame.y + (dy < 0 ? frame.height : 0),
  ];
  return starts.map((start) => {
    const centre = middle(start);
    const [w, h] = isUpright(start) ? [fx, fy] : [fy, fx];
    const [width, height] = [tidy(start.width * w), tidy(start.height * h)];
    return {
      x: tidy(left + (centre.x - left) * fx - width / 2),
      y: tidy(top + (centre.y - top) * fy - height / 2),
      width,
      height,
      rotation: start.rotation,
    };
  });
}

function factorOf(length: number, more: number): number {
  return length ? (length + more) / length : 1;
}

/** How far objects may shrink until one would be too small to be seen. */
function shrink(objects: readonly PageObject[], across: boolean): number {
  const sides = objects
    .filter(({ kind }) => kind !== "line")
    .map((object) => (isUpright(object) === across ? object.width : object.height));
  return Math.max(0, ...sides.map((side) => Math.min(1, LEAST / side)));
}

function isUpright({ rotation }: Geometry): boolean {
  return rotation % 180 === 0;
}

/** Turn objects together, about the middle of the frame around them. */
export function turnedTogether(starts: readonly PageObject[], degrees: number): Geometry[] {
  const centre = middle(union(starts.map(bounds)));
  return starts.map((start) => {
    const { width, height, rotation } = start;
    const own = middle(start);
    const to = turned({ x: own.x - centre.x, y: own.y - centre.y }, degrees);
    return {
      x: tidy(centre.x + to.x - width / 2),
      y: tidy(centre.y + to.y - height / 2),
      width,
      height,
      rotation: normal(rotation + degrees),
    };
  });
}

/** The rotation that lets the upper edge look at a point; by 15 degrees where `snap`. */
export function rotationTo(box: Box, point: Point, snap: boolean): number {
  const centre = middle(box);
  const degrees = (Math.atan2(point.x - centre.x, centre.y - point.y) * 180) / Math.PI;
  const rounded = snap ? Math.round(degrees / 15) * 15 : Math.round(degrees);
  return normal(rounded);
}

/** An angle as -179 to 180. */
export function normal(degrees: number): number {
  const rest = ((degrees % 360) + 360) % 360;
  return rest > 180 ? rest - 360 : rest;
}

/** Two decimals of a point are finer than any screen or printer. */
export function tidy(length: number): number {
  return Math.round(length * 100) / 100 || 0;
}

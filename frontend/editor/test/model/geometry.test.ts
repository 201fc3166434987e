import { describe, expect, it } from "vitest";
import { aligned, distributed, snapped, stacked } from "../../src/model/arrange";
import { changed } from "../../src/model/changes";
import {
  bounds,
  HANDLES,
  middle,
  normal,
  resized,
  resizedTogether,
  rotationTo,
  turned,
  turnedTogether,
  union,
} from "../../src/model/geometry";
import { completed } from "../../src/model/properties";
import type { Page, PageObject, Report } from "../../src/model/types";

const box = (id: string, x: number, y: number, width = 10, height = 10, rotation = 0) =>
  completed({ id, kind: "rectangle", x, y, width, height, rotation });
const pageOf = (...objects: PageObject[]): Page => ({
  id: "p1",
  width: 100,
  height: 200,
  objects,
});
const done = (page: Page, changes: ReturnType<typeof aligned>) => {
  const report: Report = { id: 1, name: "a", pages: [page], data: null };
  return (changes.length ? changed(report, changes) : report).pages[0]!.objects;
};

describe("resizing", () => {
  it("keeps the opposite corner where it is, however the object is turned", () => {
    for (const rotation of [0, 30, 90, -135, 180]) {
      const object = box("a", 50, 60, 40, 20, rotation);
      const to = resized(object, "se", { x: 7, y: 5 }, false);
      const corner = (each: typeof to) => {
        const { x, y } = turned({ x: -each.width / 2, y: -each.height / 2 }, rotation);
        return { x: middle(each).x + x, y: middle(each).y + y };
      };
      expect(corner(to).x).toBeCloseTo(corner(object).x, 1);
      expect(corner(to).y).toBeCloseTo(corner(object).y, 1);
    }
  });

  it("never turns a box inside out, but does a line", () => {
    expect(resized(box("a", 0, 0), "e", { x: -50, y: 0 }, false).width).toBe(4);
    const line = completed({ id: "l", kind: "line", x: 0, y: 0, width: 10, height: 0 });
    expect(resized(line, "se", { x: -50, y: 5 }, false)).toMatchObject({ width: -40, height: 5 });
  });

  it("keeps the ratio where that is asked for", () => {
    const to = resized(box("a", 0, 0, 40, 20), "se", { x: 40, y: 0 }, true);
    expect(to).toMatchObject({ width: 80, height: 40 });
  });
});

describe("resizing several", () => {
  const line = completed({ id: "l", kind: "line", x: 60, y: 50, width: -30, height: 20 });
  const some = [box("a", 10, 20, 20, 10), box("b", 50, 60, 10, 30, 90), line];
  const framed = (all: Parameters<typeof bounds>[0][]) => union(all.map(bounds));

  it("fills the pulled frame, and leaves the opposite side where it is", () => {
    const before = framed(some);
    for (const handle of HANDLES) {
      const [dx, dy] = [/e/.test(handle), /s/.test(handle)].map((is) => (is ? 1 : -1)) as [1, 1];
      const way = { x: dx * 14, y: dy * 7 };
      const after = framed(resizedTogether(some, handle, way, false));
      const [across, down] = [/[ew]/.test(handle), /[ns]/.test(handle)];
      expect(after.width, handle).toBeCloseTo(before.width + (across ? 14 : 0), 1);
      expect(after.height, handle).toBeCloseTo(before.height + (down ? 7 : 0), 1);
      expect(after.x, handle).toBeCloseTo(before.x - (across && dx < 0 ? 14 : 0), 1);
      expect(after.y, handle).toBeCloseTo(before.y - (down && dy < 0 ? 7 : 0), 1);
    }
  });

  it("gives each its part, whichever way it lies", () => {
    const [a, b, l] = resizedTogether(some, "e", { x: framed(some).width, y: 0 }, false);
    expect(a).toMatchObject({ x: 10, width: 40, height: 10 });
    expect(b).toMatchObject({ width: 10, height: 60, rotation: 90 });
    expect(l).toMatchObject({ width: -60, height: 20 });
  });

  it("lets what is askew grow both ways only", () => {
    const askew = [...some, box("c", 30, 30, 20, 10, 30)];
    const to = resizedTogether(askew, "se", { x: framed(askew).width, y: 0 }, false);
    for (const [index, { width, height }] of to.entries())
      expect([width, height]).toEqual([askew[index]!.width * 2, askew[index]!.height * 2]);
  });

  it("shrinks nothing out of sight, and turns nothing inside out", () => {
    const small = resizedTogether(some, "nw", { x: 1000, y: 1000 }, false);
    expect(Math.min(...small.slice(0, 2).flatMap(({ width, height }) => [width, height]))).toBe(4);
    expect(small.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
    const flat = [
      { ...line, height: 0 },
      { ...line, id: "m", height: 0 },
    ];
    expect(resizedTogether(flat, "s", { x: 0, y: 9 }, false)).toMatchObject([{ height: 0 }, {}]);
  });
});

describe("turning several", () => {
  it("goes about their common middle, and comes back", () => {
    const some = [box("a", 0, 0, 20, 10), box("b", 80, 40, 20, 10)];
    const [a, b] = turnedTogether(some, 90) as [PageObject, PageObject];
    expect([a.rotation, b.rotation]).toEqual([90, 90]);
    expect([middle(a), middle(b)]).toEqual([
      { x: 70, y: -15 },
      { x: 30, y: 65 },
    ]);
    const turned = some.map((each, index) => ({ ...each, ...[a, b][index] }));
    expect(turnedTogether(turned, -90)).toMatchObject(some.map(({ x, y }) => ({ x, y })));
  });
});

describe("turning", () => {
  it("looks at the pointer", () => {
    const object = box("a", 0, 0);
    expect(rotationTo(object, { x: 5, y: -100 }, false)).toBe(0);
    expect(rotationTo(object, { x: 100, y: 5 }, false)).toBe(90);
    expect(rotationTo(object, { x: 90, y: 10 }, true) % 15).toBe(0);
  });
  it("says each angle in one way", () => {
    expect([normal(190), normal(-190), normal(360), normal(180)]).toEqual([-170, 170, 0, 180]);
  });
});

describe("arranging", () => {
  const page = pageOf(box("a", 0, 0), box("b", 20, 5, 20, 20), box("c", 70, 40));

  it("aligns by what is seen of turned objects", () => {
    const turnedPage = pageOf(box("a", 10, 0, 40, 10, 90), box("b", 50, 50));
    const [a, b] = done(turnedPage, aligned(turnedPage.objects, turnedPage, "left"));
    expect(bounds(a!).x).toBeCloseTo(bounds(b!).x, 1);
  });

  it("aligns one alone with its page", () => {
    const [object] = done(page, aligned(page.objects.slice(0, 1), page, "center"));
    expect(object!.x).toBe(45);
  });

  it("gives equal gaps, and leaves the outermost", () => {
    const [a, b, c] = done(page, distributed(page.objects, true));
    expect([a!.x, c!.x]).toEqual([0, 70]);
    expect(b!.x - 10).toBe(70 - (b!.x + 20));
  });

  it("moves several up and down in their own order", () => {
    const order = (how: Parameters<typeof stacked>[2], ...ids: string[]) =>
      done(page, stacked(page, ids, how)).map(({ id }) => id);
    expect(order("front", "a", "b")).toEqual(["c", "a", "b"]);
    expect(order("back", "b", "c")).toEqual(["b", "c", "a"]);
    expect(order("forward", "a", "b")).toEqual(["c", "a", "b"]);
    expect(order("backward", "b", "c")).toEqual(["b", "c", "a"]);
    expect(order("front", "c")).toEqual(["a", "b", "c"]);
  });

  it("snaps to the nearest edge within reach, and to none beyond", () => {
    const others = [{ x: 50, y: 0, width: 10, height: 10 }];
    const moving = { x: 0, y: 100, width: 10, height: 10 };
    const near = snapped(moving, { dx: 48, dy: 0 }, page, others, 5);
    expect(near.dx).toBe(50);
    expect(near.across).toEqual([50]);
    expect(snapped(moving, { dx: 30, dy: 0 }, page, others, 5)).toMatchObject({
      dx: 30,
      across: [],
    });
  });
});

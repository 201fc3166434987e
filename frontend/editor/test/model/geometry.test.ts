import { describe, expect, it } from "vitest";
import { aligned, distributed, snapped, stacked } from "../../src/model/arrange";
import { changed } from "../../src/model/changes";
import { bounds, middle, normal, resized, rotationTo, turned } from "../../src/model/geometry";
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

import { describe, expect, it } from "vitest";
import { run } from "../../src/canvas/commands";
import { wrapped } from "../../src/canvas/draft";
import { paint, type Scene } from "../../src/canvas/paint";
import { completed } from "../../src/model/properties";
import type { PageObject, Report } from "../../src/model/types";

/** Takes note of what is called and set. */
function recorder(): { context: CanvasRenderingContext2D; calls: string[] } {
  const calls: string[] = [];
  const context = new Proxy({} as Record<string, unknown>, {
    get: (_, name) => {
      if (name === "measureText") return (text: string) => ({ width: text.length * 5 });
      return (...values: unknown[]) => calls.push(`${String(name)}(${values.join()})`);
    },
    set: (_, name, value) => {
      calls.push(`${String(name)}=${value}`);
      return true;
    },
  });
  return { context: context as unknown as CanvasRenderingContext2D, calls };
}

const text = (more: object = {}) =>
  completed({
    id: "t",
    kind: "text",
    text: "hello",
    x: 10,
    y: 20,
    width: 100,
    height: 20,
    ...more,
  });
const reportOf = (object: PageObject, data: Report["data"] = null): Report => ({
  id: 1,
  name: "a",
  data,
  pages: [{ id: "p1", width: 100, height: 100, objects: [object] }],
});

function painted(before: Report, now: Report, row: number | null = null, more = {}): string[] {
  const { context, calls } = recorder();
  const scene: Scene = {
    report: now,
    page: now.pages[0]!,
    row,
    hidden: null,
    images: () => undefined,
    drawn: {
      report: before,
      drawing: {
        page: "p1",
        seq: 1,
        row: null,
        width: 100,
        height: 100,
        complete: true,
        commands: [
          ["fillRect", 0, 0, 100, 100],
          ["fillText", "by the engine", 10, 30],
        ],
        boxes: [{ id: "t", commands: [1, 1] }],
        ...more,
      },
    },
  };
  paint(context, scene);
  return calls;
}

describe("painting", () => {
  it("draws what has not changed as the engine does", () => {
    const report = reportOf(text());
    expect(painted(report, report)).toContain("fillText(by the engine,10,30)");
  });

  it("moves an object by its own commands", () => {
    const calls = painted(reportOf(text()), reportOf(text({ x: 40 })));
    expect(calls).toContain("fillText(by the engine,10,30)");
    expect(calls).toContain("translate(90,30)");
    expect(calls).toContain("translate(-60,-30)");
  });

  it("draws what looks different in draft", () => {
    for (const change of [{ text: "other" }, { color: "#ff0000" }, { width: 50 }]) {
      const calls = painted(reportOf(text()), reportOf(text(change)));
      expect(calls).not.toContain("fillText(by the engine,10,30)");
      expect(calls.some((call) => call.startsWith("fillText("))).toBe(true);
    }
  });

  it("draws another row's values in draft, and only where there are some", () => {
    const data = { columns: ["name"], rows: [["Kim"], ["Lee"]] };
    const bound = reportOf(text({ text: "{{name}}" }), data);
    expect(painted(bound, bound, 1).join()).toContain("fillText(Lee");
    const plain = reportOf(text(), data);
    expect(painted(plain, plain, 1)).toContain("fillText(by the engine,10,30)");
    expect(painted(bound, bound, 0, { row: 0 })).toContain("fillText(by the engine,10,30)");
    const edited = reportOf(text({ text: "{{name}}" }), { ...data, rows: [["Park"], ["Lee"]] });
    expect(painted(bound, edited, 0, { row: 0 }).join()).toContain("fillText(Park");
  });

  it("draws what is new in draft", () => {
    const empty = { ...reportOf(text()), pages: [{ ...reportOf(text()).pages[0]!, objects: [] }] };
    const calls = painted(empty, reportOf(text()), null, { boxes: [] });
    expect(calls.join()).toContain("fillText(hello");
  });
});

describe("commands", () => {
  it("are the ones that draw, and no others", () => {
    const { context, calls } = recorder();
    const commands = [
      ["fillRect", 1, 2, 3, 4],
      ["constructor", "alert(1)"],
      ["canvas", 1],
      ["fillStyle", "#fff"],
      ["font", "bold 9px serif"],
    ] as const;
    run(context, commands as never, 0, commands.length, () => undefined);
    expect(calls.slice(0, 2)).toEqual(["fillRect(1,2,3,4)", "fillStyle=#fff"]);
    expect(calls[2]).toMatch(/^font=bold 9px .*serif$/);
    expect(calls).toHaveLength(3);
  });
});

describe("lines in draft", () => {
  const measure = (part: string) => part.length;
  it("break at blanks, or anywhere in too long a word, and end where the box does", () => {
    expect(wrapped("aa bb cc", 5, measure, 9)).toEqual(["aa bb", "cc"]);
    expect(wrapped("abcdefgh", 3, measure, 9)).toEqual(["abc", "def", "gh"]);
    expect(wrapped("a\n\nb", 5, measure, 9)).toEqual(["a", "", "b"]);
    expect(wrapped("a b c d", 1, measure, 2)).toEqual(["a", "b"]);
  });
});

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { changed } from "../../src/model/changes";
import { inverse } from "../../src/model/inverse";
import { Refused } from "../../src/model/properties";
import type { Change, Report } from "../../src/model/types";

interface Case {
  readonly name: string;
  readonly document: Report;
  readonly changes: readonly Change[];
  readonly result?: Report;
  readonly refused?: string;
}

// The engine's tests read the same table: what one does and the other does not is a mistake.
const cases = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../../tests/demo/changes.json"), "utf8"),
) as Case[];

describe("changes", () => {
  it("has cases of both sorts", () => {
    expect(cases.some((each) => each.result)).toBe(true);
    expect(cases.some((each) => !each.result)).toBe(true);
  });

  for (const { name, document, changes, result } of cases)
    it(`as the engine: ${name}`, () => {
      const before = structuredClone(document);
      if (result) expect(changed(document, changes)).toEqual(result);
      else expect(() => changed(document, changes)).toThrow(Refused);
      expect(document).toEqual(before);
    });

  for (const { name, document, changes, result } of cases.filter((each) => each.result))
    it(`undone: ${name}`, () => {
      const back = inverse(document, changes);
      expect(changed(result!, back)).toEqual(document);
    });
});

import { describe, expect, it } from "vitest";
import { filled, isBound } from "../../src/model/binding";
import { columnName, fields, tableOf } from "../../src/model/csv";
import { completed } from "../../src/model/properties";

describe("CSV", () => {
  it("understands quotes, quoted line ends and doubled quotes", () => {
    expect(fields('a,"b, c","say ""hi""\nthere"\r\n1,2,3')).toEqual([
      ["a", "b, c", 'say "hi"\nthere'],
      ["1", "2", "3"],
    ]);
  });

  it("finds out what separates", () => {
    expect(fields("a;b\n1,5;2")).toEqual([
      ["a", "b"],
      ["1,5", "2"],
    ]);
    expect(fields("a\tb\n1\t2")[1]).toEqual(["1", "2"]);
  });

  it("passes over the mark of UTF-8, and empty lines", () => {
    expect(fields("\uFEFFa,b\n\n1,2\n\n")).toEqual([
      ["a", "b"],
      ["1", "2"],
    ]);
  });

  it("makes a table whose rows are all as long as its head", () => {
    const { table } = tableOf("name,name,\nKim\nLee,2,3,4");
    expect(table!.columns).toEqual(["name", "name 2", "column 3", "column 4"]);
    expect(table!.rows).toEqual([
      ["Kim", "", "", ""],
      ["Lee", "2", "3", "4"],
    ]);
  });

  it("says how much it has left out", () => {
    const { table, left } = tableOf(`a\n${"1\n".repeat(2_010)}`);
    expect(table!.rows).toHaveLength(2_000);
    expect(left).toBe(10);
    expect(tableOf("").table).toBeNull();
  });

  it("names columns so that a field can hold them", () => {
    expect(columnName("a{{b}}", [])).toBe("a  b");
    expect(columnName("", ["x"])).toBe("column 2");
  });
});

describe("fields in texts", () => {
  const table = { columns: ["name", "city"], rows: [["Kim", "$&"]] };
  it("puts the row's values in, and leaves what names no column", () => {
    expect(filled("{{name}} in {{city}}, {{zip}}", table, 0)).toBe("Kim in $&, {{zip}}");
    expect(filled("{{name}}", table, null)).toBe("{{name}}");
    expect(filled("{{name}}", table, 9)).toBe("{{name}}");
  });
  it("knows which objects have some", () => {
    const place = { x: 0, y: 0, width: 1, height: 1 };
    expect(isBound(completed({ id: "a", kind: "text", text: "{{a}}", ...place }))).toBe(true);
    expect(isBound(completed({ id: "a", kind: "text", text: "a", ...place }))).toBe(false);
    expect(isBound(completed({ id: "a", kind: "rectangle", ...place }))).toBe(false);
  });
});

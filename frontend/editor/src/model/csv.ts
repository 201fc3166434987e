/** Comma-separated values, as spreadsheets write them, into a table that the report can hold. */

import { MOST_COLUMNS, MOST_ROWS } from "./changes";
import type { Table } from "./types";

/** Return the fields of every line; quotes, quoted line ends, and `,` `;` or tabs are understood. */
export function fields(text: string): string[][] {
  const source = text.replace(/^\uFEFF/, "");
  const separator = guess(source);
  const rows: string[][] = [];
  let row: string[] = [];
  let field = "";
  let quoted = false;
  for (let index = 0; index < source.length; index++) {
    const letter = source[index]!;
    if (quoted) {
      if (letter !== '"') field += letter;
      else if (source[index + 1] === '"') field += source[++index];
      else quoted = false;
    } else if (letter === '"' && field === "") quoted = true;
    else if (letter === separator) {
      row.push(field);
      field = "";
    } else if (letter === "\n" || letter === "\r") {
      if (letter === "\r" && source[index + 1] === "\n") index++;
      rows.push([...row, field]);
      [row, field] = [[], ""];
    } else field += letter;
  }
  if (field !== "" || row.length) rows.push([...row, field]);
  return rows.filter((each) => each.some((value) => value.trim() !== ""));
}

/**
 * Make a table of a CSV file; its first line names the columns.
 *
 * @returns the table, and how many rows and columns had to be left out
 */
export function tableOf(text: string): { table: Table | null; left: number } {
  const [head = [], ...body] = fields(text);
  const width = Math.min(Math.max(head.length, ...body.map((row) => row.length)), MOST_COLUMNS);
  if (!width || !head.length) return { table: null, left: 0 };
  const columns: string[] = [];
  for (let index = 0; index < width; index++) columns.push(columnName(head[index] ?? "", columns));
  const rows = body
    .slice(0, MOST_ROWS)
    .map((row) => columns.map((_, index) => (row[index] ?? "").trim().slice(0, 2_000)));
  return { table: { columns, rows }, left: Math.max(0, body.length - MOST_ROWS) };
}

/** A column's name that `{{name}}` can hold, and that no other has. */
export function columnName(wanted: string, taken: readonly string[]): string {
  const plain =
    wanted
      .replace(/[{}\n\r]/g, " ")
      .trim()
      .slice(0, 60) || `column ${taken.length + 1}`;
  let name = plain;
  for (let number = 2; taken.includes(name); number++) name = `${plain} ${number}`;
  return name;
}

function guess(text: string): string {
  const line = text.slice(0, 4_000).split(/[\r\n]/, 1)[0]!;
  const count = (separator: string) => line.split(separator).length;
  return [",", ";", "\t"].reduce((best, each) => (count(each) > count(best) ? each : best));
}

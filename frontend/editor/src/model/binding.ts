/** `{{column}}` in texts: what the engine puts in for it when it draws a row. */

import type { PageObject, Table } from "./types";

// As the engine has it: names are taken as they are written.
const FIELD = /\{\{(.*?)\}\}/gs;

export function isBound(object: PageObject): boolean {
  return "text" in object && object.text.includes("{{");
}

/** The text with the row's values; a column that is not there stays as it is written. */
export function filled(text: string, table: Table | null, row: number | null): string {
  const values = row === null ? undefined : table?.rows[row];
  if (!values) return text;
  return text.replace(FIELD, (whole, name: string) => {
    const column = table!.columns.indexOf(name);
    return column < 0 ? whole : (values[column] ?? "");
  });
}

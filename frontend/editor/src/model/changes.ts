/** What each change does to a report: the same as in the engine, or the two would drift apart. */

import {
  checkId,
  completed,
  isCell,
  isColumnName,
  isName,
  isPageLength,
  Refused,
  withProperties,
} from "./properties";
import type { Change, Page, PageInput, PageObject, Properties, Report, Table } from "./types";

export const MOST_PAGES = 20;
export const MOST_OBJECTS = 500;
export const MOST_COLUMNS = 50;
export const MOST_CHANGES = 500;
export const MOST_ROWS = 2_000;

/** Return the report after all of the changes, or throw `Refused` and leave it as it was. */
export function changed(report: Report, changes: readonly Change[]): Report {
  if (changes.length < 1 || changes.length > MOST_CHANGES)
    throw new Refused(`an edit has 1 to ${MOST_CHANGES} changes`);
  for (const change of changes) checkMembers(change);
  return changes.reduce(changedOnce, report);
}

/** The members of each change; those with a question mark may be left out. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  insert: ["page", "object", "at?"],
  set: ["id", "set"],
  remove: ["id"],
  order: ["id", "at"],
  insert_page: ["page", "at?"],
  remove_page: ["id"],
  resize_page: ["id", "width", "height"],
  rename: ["name"],
  data: ["data"],
};

/** Changes come from others, too: refuse what has not the members that it should have. */
function checkMembers(change: Change): void {
  const given: { readonly op?: unknown; readonly [name: string]: unknown } = Object(change);
  const members = MEMBERS[String(given.op)];
  if (!members) throw new Refused("there is no such change");
  const known = members.map((name) => name.replace("?", ""));
  for (const name of members)
    if (!name.endsWith("?") && given[name] === undefined) throw new Refused(`misses ${name}`);
  for (const name of Object.keys(given))
    if (name !== "op" && !known.includes(name)) throw new Refused(`has no field ${name}`);
}

function changedOnce(report: Report, change: Change): Report {
  switch (change.op) {
    case "insert": {
      const page = locatePage(report, change.page);
      const object = completed(change.object);
      checkFree(report, object.id);
      const objects = report.pages[page]!.objects;
      if (objects.length >= MOST_OBJECTS)
        throw new Refused(`a page has ${MOST_OBJECTS} objects at most`);
      return onPage(report, page, inserted(objects, object, change.at));
    }
    case "set": {
      const [page, index] = locate(report, change.id);
      const objects = [...report.pages[page]!.objects];
      objects[index] = withProperties(objects[index]!, change.set);
      return onPage(report, page, objects);
    }
    case "remove": {
      const [page, index] = locate(report, change.id);
      return onPage(report, page, without(report.pages[page]!.objects, index));
    }
    case "order": {
      const [page, index] = locate(report, change.id);
      const objects = report.pages[page]!.objects;
      return onPage(report, page, inserted(without(objects, index), objects[index]!, change.at));
    }
    case "insert_page": {
      if (report.pages.length >= MOST_PAGES)
        throw new Refused(`a report has ${MOST_PAGES} pages at most`);
      const page = completedPage(report, change.page);
      return { ...report, pages: inserted(report.pages, page, change.at) };
    }
    case "remove_page": {
      const index = locatePage(report, change.id);
      if (report.pages.length === 1) throw new Refused("a report keeps its last page");
      return { ...report, pages: without(report.pages, index) };
    }
    case "resize_page": {
      const index = locatePage(report, change.id);
      const { width, height } = change;
      checkPageSize(width, height);
      return {
        ...report,
        pages: report.pages.with(index, { ...report.pages[index]!, width, height }),
      };
    }
    case "rename":
      if (!isName(change.name)) throw new Refused("a name has 1 to 100 characters");
      return { ...report, name: change.name };
    case "data":
      return { ...report, data: change.data === null ? null : checkTable(change.data) };
  }
}

/** Leave out what would set properties to what they are: an undo of that would seem to do nothing. */
export function effective(report: Report, changes: readonly Change[]): readonly Change[] {
  const ids = changes.flatMap((change) => ("id" in change ? [change.id] : []));
  const isAlone = new Set(ids).size === ids.length && ids.length === changes.length;
  return changes.filter((change) => {
    if (!isAlone) return true;
    if (change.op === "resize_page") {
      const page = report.pages.find(({ id }) => id === change.id);
      return page?.width !== change.width || page.height !== change.height;
    }
    if (change.op !== "set") return true;
    const object = find(report, change.id) as Properties | undefined;
    return !object || Object.entries(change.set).some(([name, value]) => object[name] !== value);
  });
}

/** Say on which page an object is, and at which place, or refuse. */
export function locate(report: Report, id: string): readonly [page: number, index: number] {
  for (const [number, page] of report.pages.entries()) {
    const index = page.objects.findIndex((each) => each.id === id);
    if (index >= 0) return [number, index];
  }
  throw new Refused(`there is no object ${id}`);
}

/** Say at which place a page is, or refuse. */
export function locatePage(report: Report, id: string): number {
  const index = report.pages.findIndex((page) => page.id === id);
  if (index < 0) throw new Refused(`there is no page ${id}`);
  return index;
}

export function find(report: Report, id: string): PageObject | undefined {
  for (const page of report.pages) {
    const object = page.objects.find((each) => each.id === id);
    if (object) return object;
  }
  return undefined;
}

function completedPage(report: Report, input: PageInput): Page {
  checkId(input.id);
  checkFree(report, input.id);
  const { width = 595, height = 842 } = input;
  checkPageSize(width, height);
  const objects = (input.objects ?? []).map(completed);
  if (objects.length > MOST_OBJECTS)
    throw new Refused(`a page has ${MOST_OBJECTS} objects at most`);
  const seen = new Set([input.id]);
  for (const { id } of objects) {
    checkFree(report, id);
    if (seen.has(id)) throw new Refused(`${id} is there twice`);
    seen.add(id);
  }
  return { id: input.id, width, height, objects };
}

function checkPageSize(...lengths: readonly unknown[]): void {
  if (!lengths.every(isPageLength)) throw new Refused("a page measures 10 to 14400 points");
}

function checkFree(report: Report, id: string): void {
  if (report.pages.some((page) => page.id === id || page.objects.some((each) => each.id === id)))
    throw new Refused(`there is already a ${id}`);
}

function checkTable(table: Table): Table {
  const { columns, rows } = table;
  if (columns.length < 1 || columns.length > MOST_COLUMNS || rows.length > MOST_ROWS)
    throw new Refused(`a table has ${MOST_COLUMNS} columns and ${MOST_ROWS} rows at most`);
  if (!columns.every(isColumnName)) throw new Refused("every column has a name");
  if (new Set(columns).size !== columns.length)
    throw new Refused("two columns have the same name");
  if (rows.some((row) => row.length !== columns.length || !row.every(isCell)))
    throw new Refused("a row is as long as the head, and of short texts");
  return table;
}

function onPage(report: Report, page: number, objects: readonly PageObject[]): Report {
  const pages = [...report.pages];
  pages[page] = { ...pages[page]!, objects };
  return { ...report, pages };
}

function inserted<T>(list: readonly T[], one: T, at: number | undefined): T[] {
  if (at === undefined) return [...list, one];
  if (!Number.isInteger(at) || at < 0 || at > list.length)
    throw new Refused("there is no such place");
  return [...list.slice(0, at), one, ...list.slice(at)];
}

function without<T>(list: readonly T[], index: number): T[] {
  return list.filter((_, each) => each !== index);
}

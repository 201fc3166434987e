/** The way back: for every edit the changes that undo it. */

import { changed, find, locate, locatePage } from "./changes";
import { Refused } from "./properties";
import type { Change, ObjectInput, Report } from "./types";

/** Return the changes that undo `changes`, which are about to be done to `report`. */
export function inverse(report: Report, changes: readonly Change[]): Change[] {
  const back: Change[] = [];
  let now = report;
  for (const change of changes) {
    back.unshift(inverseOfOne(now, change));
    now = changed(now, [change]);
  }
  return back;
}

function inverseOfOne(report: Report, change: Change): Change {
  switch (change.op) {
    case "insert":
      return { op: "remove", id: change.object.id };
    case "set": {
      const object = find(report, change.id) as Record<string, unknown> | undefined;
      if (!object) throw new Refused(`there is no object ${change.id}`);
      const set = Object.fromEntries(Object.keys(change.set).map((name) => [name, object[name]]));
      return { op: "set", id: change.id, set };
    }
    case "remove": {
      const [page, at] = locate(report, change.id);
      const { id, objects } = report.pages[page]!;
      return { op: "insert", page: id, object: objects[at] as unknown as ObjectInput, at };
    }
    case "order":
      return { op: "order", id: change.id, at: locate(report, change.id)[1] };
    case "insert_page":
      return { op: "remove_page", id: change.page.id };
    case "remove_page": {
      const at = locatePage(report, change.id);
      const page = report.pages[at]!;
      return {
        op: "insert_page",
        page: { ...page, objects: page.objects as unknown as readonly ObjectInput[] },
        at,
      };
    }
    case "resize_page": {
      const { id, width, height } = report.pages[locatePage(report, change.id)]!;
      return { op: "resize_page", id, width, height };
    }
    case "rename":
      return { op: "rename", name: report.name };
    case "data":
      return { op: "data", data: report.data };
  }
}

/** What the ribbon and the keys do with objects. */

import { aligned, distributed, type Edge, moved, type Stacking, stacked } from "../model/arrange";
import { bounds, middle, union } from "../model/geometry";
import { newId } from "../model/ids";
import { completed } from "../model/properties";
import type { Change, Kind, ObjectInput, PageObject } from "../model/types";
import { pageOf, selected } from "./view";
import type { Workspace } from "./workspace";

/** How far a copy stands from what it was copied of, in points. */
const STEP = 12;

type Draft = Omit<ObjectInput, "id" | "x" | "y"> & { kind: Kind; width: number; height: number };

/** What is inserted where nothing more is said. */
export function template(kind: Exclude<Kind, "image">, word: string): Draft {
  switch (kind) {
    case "text":
      return { kind, text: word, width: 220, height: 24 };
    case "rectangle":
      return { kind, width: 140, height: 90 };
    case "line":
      return { kind, width: 160, height: 0 };
    case "qrcode":
      return { kind, text: "https://example.com", width: 96, height: 96 };
    case "barcode":
      return { kind, text: "ORION-0001", width: 180, height: 64 };
  }
}

/** Insert an object about a point, or in the middle, a step further where there is one already. */
export function insert(
  workspace: Workspace,
  draft: Draft,
  at?: { x: number; y: number },
): string | null {
  const page = pageOf(workspace.state);
  if (!page) return null;
  const width = Math.min(draft.width, page.width);
  const height = Math.min(draft.height, page.height);
  let { x, y } = at ?? workspace.centre() ?? { x: page.width / 2, y: page.height / 3 };
  const isThere = (object: PageObject) => {
    const other = middle(object);
    return Math.abs(other.x - x) < 1 && Math.abs(other.y - y) < 1;
  };
  while (!at && page.objects.some(isThere)) {
    x += STEP;
    y += STEP;
  }
  x = Math.round(x - width / 2);
  y = Math.round(y - height / 2);
  if (!at) {
    x = Math.max(0, Math.min(page.width - width, x));
    y = Math.max(0, Math.min(page.height - height, y));
  }
  const id = newId(draft.kind[0]!);
  const object = { ...draft, id, x, y, width, height } as unknown as ObjectInput;
  const done = workspace.edit("insertObject", [{ op: "insert", page: page.id, object }]);
  if (!done) return null;
  workspace.select([id]);
  return id;
}

export function remove(workspace: Workspace): void {
  workspace.commit();
  const { selection } = workspace.state;
  if (!selection.length) return;
  const changes = selection.map((id): Change => ({ op: "remove", id }));
  if (!workspace.edit("deleteObjects", changes)) return;
  workspace.select([]);
  workspace.toasts.show({ key: "deleted", values: { count: changes.length } }, "info", true);
}

export function copy(workspace: Workspace): readonly PageObject[] {
  workspace.commit();
  const objects = selected(workspace.state);
  if (objects.length) {
    workspace.view.set({ clipboard: objects });
    workspace.toasts.say({ key: "copied", values: { count: objects.length } });
  }
  return objects;
}

export function cut(workspace: Workspace): readonly PageObject[] {
  const objects = copy(workspace);
  if (objects.length) {
    workspace.edit(
      "cutObjects",
      objects.map(({ id }) => ({ op: "remove", id })),
    );
    workspace.select([]);
  }
  return objects;
}

export function paste(workspace: Workspace, objects = workspace.state.clipboard): void {
  place(workspace, "pasteObjects", objects);
}

export function duplicate(workspace: Workspace): void {
  workspace.commit();
  place(workspace, "duplicateObjects", selected(workspace.state));
}

function place(
  workspace: Workspace,
  label: "pasteObjects" | "duplicateObjects",
  objects: readonly PageObject[],
): void {
  const page = pageOf(workspace.state);
  if (!page || !objects.length) return;
  const frame = union(objects.map(bounds));
  let step = 0;
  const isTaken = (at: { x: number; y: number }) =>
    page.objects.some((each) => each.x === at.x + step && each.y === at.y + step);
  while (objects.some(isTaken)) step += STEP;
  // Onto a smaller page as well: nobody finds what lies beside it.
  const dx = Math.min(step, page.width - STEP - frame.x);
  const dy = Math.min(step, page.height - STEP - frame.y);
  const copies = objects.map((object) => ({
    ...object,
    id: newId(object.kind[0]!),
    x: object.x + dx,
    y: object.y + dy,
  }));
  const changes = copies.map(
    (object): Change => ({
      op: "insert",
      page: page.id,
      object: object as unknown as ObjectInput,
    }),
  );
  if (workspace.edit(label, changes)) workspace.select(copies.map(({ id }) => id));
}

/** Objects from elsewhere, such as another tab's clipboard: those that are none are left out. */
export function pasteForeign(workspace: Workspace, text: string): boolean {
  try {
    const objects = (JSON.parse(text) as ObjectInput[]).map(completed);
    paste(workspace, objects);
    return objects.length > 0;
  } catch {
    return false;
  }
}

export function align(workspace: Workspace, edge: Edge): void {
  workspace.commit();
  const page = pageOf(workspace.state);
  if (page) workspace.edit("alignObjects", aligned(selected(workspace.state), page, edge));
}

export function distribute(workspace: Workspace, across: boolean): void {
  workspace.commit();
  workspace.edit("distributeObjects", distributed(selected(workspace.state), across));
}

export function stack(workspace: Workspace, how: Stacking): void {
  workspace.commit();
  const page = pageOf(workspace.state);
  if (page) workspace.edit("orderObjects", stacked(page, workspace.state.selection, how));
}

export function nudge(workspace: Workspace, dx: number, dy: number): void {
  const objects = selected(workspace.state);
  if (!objects.length || !workspace.settled) return;
  const changes = objects.flatMap((object) => moved(object, dx, dy));
  workspace.type("moveObjects", `nudge ${workspace.state.selection.join()}`, changes);
}

export function selectAll(workspace: Workspace): void {
  workspace.select(pageOf(workspace.state)?.objects.map(({ id }) => id) ?? []);
}

/** Put a field into the selected text, QR code or barcode, or into a new text. */
export function insertField(workspace: Workspace, column: string): void {
  workspace.commit();
  const field = `{{${column}}}`;
  const [object, ...more] = selected(workspace.state);
  if (object && !more.length && "text" in object) {
    const space = object.kind === "text" && object.text && !object.text.endsWith(" ") ? " " : "";
    const code = object.kind !== "text";
    const text = code ? field : `${object.text}${space}${field}`;
    workspace.edit("insertField", [{ op: "set", id: object.id, set: { text } }]);
  } else insert(workspace, { ...template("text", field) });
}

export function addPage(workspace: Workspace): void {
  workspace.commit();
  const { report } = workspace.state;
  const page = pageOf(workspace.state);
  if (!report || !page) return;
  const id = newId("p");
  const at = report.pages.indexOf(page) + 1;
  const { width, height } = page;
  if (workspace.edit("addPage", [{ op: "insert_page", page: { id, width, height }, at }]))
    workspace.turnTo(id);
}

export function removePage(workspace: Workspace, id: string): void {
  workspace.commit();
  const { report } = workspace.state;
  if (!report || report.pages.length < 2) return;
  const index = report.pages.findIndex((page) => page.id === id);
  const next = report.pages[index + 1] ?? report.pages[index - 1];
  if (!workspace.edit("deletePage", [{ op: "remove_page", id }])) return;
  if (workspace.state.page === id && next) workspace.turnTo(next.id);
  workspace.toasts.show({ key: "pageDeleted" }, "info", true);
}

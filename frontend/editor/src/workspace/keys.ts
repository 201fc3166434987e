/** Keys and the clipboard, wherever the focus is, except where somebody types. */

import { addImage, IMAGE_TYPES } from "./images";
import {
  copy,
  cut,
  duplicate,
  insert,
  nudge,
  pasteForeign,
  remove,
  selectAll,
  stack,
  template,
} from "./objects";
import { selected } from "./view";
import type { Workspace } from "./workspace";

/** What the clipboard calls our objects. */
const OBJECTS = "application/x-orion-objects";

const CLIPBOARD = ["copy", "cut", "paste"] as const;

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/**
 * Listen on a document; returns what ends it. Not on its window: the shop's dialogue is closed by an
 * Escape that arrives there, if nobody has made use of it before.
 */
export function listenToKeys(workspace: Workspace, document: Document): () => void {
  const press = (event: KeyboardEvent) => {
    if (!event.defaultPrevented && pressed(workspace, event)) event.preventDefault();
  };
  const clip = (event: ClipboardEvent) => {
    if (!event.defaultPrevented && clipped(workspace, event)) event.preventDefault();
  };
  document.addEventListener("keydown", press);
  for (const name of CLIPBOARD) document.addEventListener(name, clip);
  return () => {
    document.removeEventListener("keydown", press);
    for (const name of CLIPBOARD) document.removeEventListener(name, clip);
  };
}

/** Whether somebody types there, or moves about with the arrows. */
function isTyping(target: EventTarget | null): boolean {
  const element = target as Element | null;
  return Boolean(
    element?.closest?.("input, textarea, select, [contenteditable], [role=grid], [role=dialog]"),
  );
}

function pressed(workspace: Workspace, event: KeyboardEvent): boolean {
  const command = event.ctrlKey || event.metaKey;
  if (command && !event.altKey && event.key.toLowerCase() === "s") {
    workspace.save();
    return true;
  }
  if (event.key === "Escape" && isTyping(event.target)) {
    (event.target as HTMLElement).blur();
    return true;
  }
  if (isTyping(event.target) || event.altKey || !workspace.isOpen) return false;
  return command ? withCommand(workspace, event) : plain(workspace, event);
}

function withCommand(workspace: Workspace, event: KeyboardEvent): boolean {
  switch (event.key.toLowerCase()) {
    case "z":
      workspace.undo(event.shiftKey ? "redo" : "undo");
      return true;
    case "y":
      workspace.undo("redo");
      return true;
    case "a":
      selectAll(workspace);
      return true;
    case "d":
      duplicate(workspace);
      return true;
    case "]":
      stack(workspace, event.shiftKey ? "front" : "forward");
      return true;
    case "[":
      stack(workspace, event.shiftKey ? "back" : "backward");
      return true;
    default:
      return false;
  }
}

function plain(workspace: Workspace, event: KeyboardEvent): boolean {
  const { selection } = workspace.state;
  const arrow = ARROWS[event.key];
  // The arrows also move about in the ribbon, and scroll where nothing is selected.
  const own = (event.target as Element).closest?.("[role=tab], [role=toolbar]");
  if (arrow && selection.length && !own) {
    const step = event.shiftKey ? 10 : 1;
    nudge(workspace, arrow[0] * step, arrow[1] * step);
    return true;
  }
  switch (event.key) {
    case "Delete":
    case "Backspace":
      remove(workspace);
      return selection.length > 0;
    case "Escape":
      workspace.cancel();
      workspace.select([]);
      return selection.length > 0;
    case "Enter":
    case "F2": {
      const [object, ...more] = selected(workspace.state);
      const onObject = event.key === "F2" || (event.target as Element).closest?.("[data-object]");
      if (object?.kind !== "text" || more.length || !onObject) return false;
      workspace.commit();
      workspace.view.set({ editing: object.id });
      return true;
    }
    default:
      return false;
  }
}

function clipped(workspace: Workspace, event: ClipboardEvent): boolean {
  const { clipboardData } = event;
  if (!clipboardData || isTyping(event.target) || !workspace.isOpen) return false;
  if (event.type === "paste") return pasted(workspace, clipboardData);
  const objects = event.type === "cut" ? cut(workspace) : copy(workspace);
  if (!objects.length) return false;
  clipboardData.setData(OBJECTS, JSON.stringify(objects));
  const texts = objects.flatMap((object) => ("text" in object ? [object.text] : []));
  clipboardData.setData("text/plain", texts.join("\n"));
  return true;
}

function pasted(workspace: Workspace, data: DataTransfer): boolean {
  const own = data.getData(OBJECTS);
  if (own) return pasteForeign(workspace, own);
  const image = [...data.files].find(({ type }) => IMAGE_TYPES.includes(type));
  if (image) {
    void addImage(workspace, image);
    return true;
  }
  const text = data.getData("text/plain").trim();
  if (!text) return false;
  const lines = text.split("\n").length;
  insert(workspace, { ...template("text", text), height: Math.min(600, 24 + 18 * (lines - 1)) });
  return true;
}

/** All that the person sees, in one frozen value. */

import type { State as LinkState } from "@orion-bridge/client";
import type { Facts } from "../engine/conversation";
import type { Listing } from "../engine/messages";
import type { Page, PageObject, Report } from "../model/types";
import type { Language, TextKey } from "../text/texts";

/** A word of ours with what stands in its gaps, or something that was said elsewhere, as it is. */
export type Said = { readonly key: TextKey; readonly values?: Record<string, string | number> };

export interface Toast {
  readonly id: number;
  readonly said: Said;
  readonly tone: "info" | "warning";
  readonly undo: boolean;
}

/** The whole page, its width, or a factor. */
export type Zoom = "fit" | "width" | number;
export type Sheet = "open" | "new" | "export" | null;

/** Why there is no document to see. */
export type Trouble =
  | { readonly kind: "none" }
  | { readonly kind: "opening" }
  | { readonly kind: "gone"; readonly message: string };

export interface Progress {
  readonly done: number;
  readonly total: number;
}

export interface View {
  readonly link: LinkState;
  readonly language: Language;
  readonly documents: readonly Listing[] | null;
  readonly report: Report | null;
  readonly facts: Facts | null;
  readonly trouble: Trouble;
  /** Edits that the engine has not applied yet, of all documents that we have open. */
  readonly unapplied: number;
  /** One of them is not finished yet: a drag, or a word. */
  readonly unfinished: boolean;
  /** Since when the engine has said nothing that it owes us, in the page's own milliseconds. */
  readonly silentSince: number | null;
  /** The browser says that the network is gone, and nothing has been heard since. */
  readonly doubted: boolean;
  readonly saving: boolean;
  readonly page: string;
  readonly row: number | null;
  readonly selection: readonly string[];
  readonly editing: string | null;
  readonly clipboard: readonly PageObject[];
  readonly zoom: Zoom;
  readonly snapping: boolean;
  readonly grid: boolean;
  readonly sheet: Sheet;
  /** In a narrow window the property panel is a drawer; elsewhere it is always there. */
  readonly drawer: boolean;
  readonly undo: Said | null;
  readonly redo: Said | null;
  readonly toasts: readonly Toast[];
  /** What was said last for the ear alone; the eye sees it happen. */
  readonly said: Said | null;
  readonly printing: Progress | null;
  readonly uploading: boolean;
  /** Counts what the canvas has to be drawn again for, beside the report. */
  readonly drawn: number;
}

export const NOTHING: Omit<View, "link" | "language"> = {
  documents: null,
  report: null,
  facts: null,
  trouble: { kind: "opening" },
  unapplied: 0,
  unfinished: false,
  silentSince: null,
  doubted: false,
  saving: false,
  page: "",
  row: null,
  selection: [],
  editing: null,
  clipboard: [],
  zoom: "width",
  snapping: true,
  grid: false,
  sheet: null,
  drawer: false,
  undo: null,
  redo: null,
  toasts: [],
  said: null,
  printing: null,
  uploading: false,
  drawn: 0,
};

export function pageOf(view: View): Page | undefined {
  return view.report?.pages.find(({ id }) => id === view.page) ?? view.report?.pages[0];
}

/** The selected objects, in their page's order. */
export function selected(view: View): readonly PageObject[] {
  return pageOf(view)?.objects.filter(({ id }) => view.selection.includes(id)) ?? [];
}

/** The open document as the person works on it: edits, previews, undo, and what is on the screen. */

import type { Engine } from "../engine/commands";
import { Conversation } from "../engine/conversation";
import { NotDone } from "../engine/messages";
import { changed, effective } from "../model/changes";
import type { Point } from "../model/geometry";
import { History } from "../model/history";
import { newClient } from "../model/ids";
import type { Kept, Outcome } from "../model/ledger";
import { Refused } from "../model/properties";
import type { Change, Report } from "../model/types";
import type { Language, TextKey } from "../text/texts";
import { Drawings } from "./drawings";
import { Saving } from "./saving";
import { Store } from "./store";
import { Toasts } from "./toasts";
import { NOTHING, pageOf, type View } from "./view";

/** After the last letter or nudge, until it becomes an edit. */
const PAUSE = 450;

/** CSS pixels: in a window that is lower, or narrower, the page needs the room more than the data. */
const LOW = 700;
const NARROW = 760;

interface Preview {
  readonly label: TextKey;
  readonly changes: readonly Change[];
  /** Previews of the same key follow each other; another one's makes an edit of this. */
  readonly key: string;
}

export class Workspace {
  readonly view: Store<View>;
  readonly toasts: Toasts;
  readonly drawings: Drawings;
  /** Called when the document has been saved, for the shop around us. */
  onSaved: (document: number, revision: number) => void = () => {};
  /** Where new objects go: the middle of what can be seen of the page. The canvas knows. */
  centre: () => Point | null = () => null;
  private talk: Conversation | null = null;
  /** Documents that we have left, while edits of ours wait there. */
  left: Conversation[] = [];
  private readonly saving: Saving;
  private history = new History();
  private preview: Preview | null = null;
  private pause: ReturnType<typeof setTimeout> | undefined;
  /** Counts what has been opened: who waits for one can see that it is no longer wanted. */
  turn = 0;

  constructor(
    readonly engine: Engine,
    language: Language,
    /** What an earlier page has left behind. */
    public kept: readonly Kept[] = [],
  ) {
    this.view = new Store<View>({ ...NOTHING, link: engine.link.state, language });
    this.toasts = new Toasts(this.view);
    this.saving = new Saving(this, (document, revision) => this.onSaved(document, revision));
    this.drawings = new Drawings(engine, () => this.redraw());
    engine.link.on("state", (link) => {
      this.view.set(link.phase === "online" ? { link } : { link, doubted: false });
      this.drawings.again();
      this.saving.goOn(this.talk);
    });
  }

  get state(): View {
    return this.view.get();
  }

  get isOpen(): boolean {
    return this.talk !== null;
  }

  // Documents

  /** Open a document; what waits in the one before goes on by itself. */
  async open(document: number): Promise<boolean> {
    const turn = ++this.turn;
    this.leaveDocument();
    this.view.set({ trouble: { kind: "opening" }, report: null, facts: null, sheet: null });
    const kept = this.kept.find((each) => each.document === document) ?? { client: newClient() };
    try {
      const opened = await this.engine.open(document, kept.client);
      if (turn !== this.turn) return false;
      this.kept = this.kept.filter((each) => each.document !== document);
      this.take(
        new Conversation(
          this.engine,
          opened,
          kept,
          this.listener(() => this.talk),
        ),
      );
      return true;
    } catch (error) {
      if (turn !== this.turn) return false;
      if (!(error instanceof NotDone)) throw error;
      this.view.set({ trouble: { kind: "gone", message: error.message } });
      return false;
    }
  }

  private take(talk: Conversation): void {
    this.talk = talk;
    this.history = new History();
    const { shown } = talk;
    this.view.set({
      trouble: { kind: "none" },
      page: shown.pages[0]!.id,
      row: shown.data?.rows.length ? 0 : null,
      grid: shown.data !== null && innerHeight >= LOW && innerWidth > NARROW,
      selection: [],
      editing: null,
    });
    this.refresh();
  }

  private leaveDocument(): void {
    this.commit();
    const { talk } = this;
    if (!talk) return;
    this.talk = null;
    this.drawings.clear();
    this.view.set({ selection: [], editing: null, saving: false });
    if (talk.ledger.unapplied) this.left.push(talk);
    else this.dismiss(talk);
  }

  private dismiss(talk: Conversation): void {
    talk.end();
    this.left = this.left.filter((each) => each !== talk);
    if (this.talk?.document !== talk.document) this.engine.close(talk.document).catch(() => {}); // its session's end would do it, too
  }

  listener(whose: () => Conversation | null) {
    return {
      changed: () => {
        for (const each of this.left) if (!each.ledger.unapplied) this.dismiss(each);
        this.refresh();
      },
      refused: (outcome: Outcome) =>
        this.toasts.show(
          outcome.message
            ? { key: "refusedBecause", values: { reason: outcome.message } }
            : { key: "refused" },
          "warning",
        ),
      pulse: (heard: boolean) => {
        this.view.set({ silentSince: this.talk?.silentSince ?? null });
        if (heard) this.view.set({ doubted: false });
      },
      gone: (message: string) => {
        const talk = whose();
        this.left = this.left.filter((each) => each !== talk);
        if (talk !== this.talk) return this.count();
        this.talk = null;
        this.preview = null;
        this.drawings.clear();
        this.view.set({ report: null, facts: null, trouble: { kind: "gone", message } });
        this.count();
      },
    };
  }

  /** Save once the engine has all edits. */
  save(): void {
    this.commit();
    if (!this.talk) return;
    this.view.set({ saving: true });
    this.saving.goOn(this.talk);
  }

  // Edits

  /** Do changes as one edit; false where they cannot be done. */
  edit(label: TextKey, changes: readonly Change[]): boolean {
    this.commit();
    return this.doEdit(label, changes);
  }

  /** Show changes that are not an edit yet: a drag, or a word that is being typed. */
  show(label: TextKey, key: string, changes: readonly Change[]): void {
    if (this.preview && this.preview.key !== key) this.commit();
    clearTimeout(this.pause);
    this.preview = changes.length ? { label, key, changes } : null;
    this.refresh();
  }

  /** The same, and make an edit of it when nothing follows for a moment. */
  type(label: TextKey, key: string, changes: readonly Change[]): void {
    this.show(label, key, changes);
    this.pause = setTimeout(() => this.commit(), PAUSE);
  }

  /** Make an edit of what is shown. */
  commit(): void {
    clearTimeout(this.pause);
    const { preview } = this;
    this.preview = null;
    if (preview) this.doEdit(preview.label, preview.changes);
  }

  /** Take back what is shown. */
  cancel(): void {
    clearTimeout(this.pause);
    this.preview = null;
    this.refresh();
  }

  /** The report without what is only shown. */
  get settled(): Report | null {
    return this.talk?.shown ?? null;
  }

  undo(direction: "undo" | "redo" = "undo"): void {
    this.commit();
    const { talk } = this;
    if (!talk) return;
    this.toasts.outdate();
    try {
      const step = this.history.step(talk.shown, direction);
      if (!step) return;
      talk.edit(step.changes);
      this.toasts.say({ key: direction === "undo" ? "undone" : "redone" });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.toasts.show({ key: "cannotUndo" }, "warning");
    }
    this.refresh();
  }

  private doEdit(label: TextKey, wanted: readonly Change[]): boolean {
    const { talk } = this;
    const changes = talk ? effective(talk.shown, wanted) : [];
    if (!talk || !changes.length) {
      this.refresh();
      return false;
    }
    this.toasts.outdate();
    try {
      changed(talk.shown, changes);
      this.history.note(talk.shown, { label, changes });
      talk.edit(changes);
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.toasts.show({ key: "refusedBecause", values: { reason: error.message } }, "warning");
      this.refresh();
      return false;
    }
  }

  /** The browser says that the network is gone, or back: it may be wrong, so the engine is asked. */
  networkIs(there: boolean): void {
    const { talk } = this;
    // Without a document there is nobody to ask, who could say that it is not so.
    this.view.set({ doubted: !there && talk !== null && this.state.link.phase === "online" });
    talk?.probe();
  }

  // What is on the screen

  select(selection: readonly string[]): void {
    this.view.set({ selection });
  }

  turnTo(page: string): void {
    this.commit();
    this.view.set({ page, selection: [], editing: null });
    this.refresh();
  }

  goToRow(row: number | null): void {
    const rows = this.state.report?.data?.rows.length ?? 0;
    this.view.set({ row: row === null || !rows ? null : Math.max(0, Math.min(rows - 1, row)) });
    this.refresh();
  }

  /** What is to be kept of us over a reload. Others are told that we are gone, as far as that goes. */
  leave(): readonly Kept[] {
    this.commit();
    for (const { document } of this.talk ? [this.talk, ...this.left] : [])
      this.engine.link.notify({ cmd: "close", document }).catch(() => {});
    const talks = this.talk ? [this.talk, ...this.left] : this.left;
    const waiting = talks.filter(({ ledger }) => ledger.unapplied).map((talk) => talk.kept());
    return [...waiting, ...this.kept];
  }

  private redraw(): void {
    this.view.set({ drawn: this.state.drawn + 1 });
  }

  private count(): void {
    const talks = this.talk ? [this.talk, ...this.left] : this.left;
    const edits = talks.reduce((sum, { ledger }) => sum + ledger.unapplied, 0);
    const keptEdits = this.kept.reduce((sum, { edits: each }) => sum + each.length, 0);
    const unfinished = this.preview !== null;
    const silentSince = this.talk?.silentSince ?? null;
    this.view.set({
      unapplied: edits + keptEdits + (unfinished ? 1 : 0),
      unfinished,
      silentSince,
    });
  }

  /** Bring the view up to date with the document. */
  refresh(): void {
    this.count();
    const { talk } = this;
    if (!talk) return;
    const report = this.withPreview(talk.shown);
    const page = pageOf({ ...this.state, report })!;
    const ids = new Set(page.objects.map(({ id }) => id));
    const { selection, editing, row } = this.state;
    const kept = selection.filter((id) => ids.has(id));
    const rows = report.data?.rows.length ?? 0;
    const undo = this.history.undoable;
    const redo = this.history.redoable;
    this.view.set({
      report,
      facts: talk.facts,
      page: page.id,
      row: row === null || !rows ? null : Math.min(row, rows - 1),
      selection: kept.length === selection.length ? selection : kept,
      editing: editing !== null && ids.has(editing) ? editing : null,
      undo: undo ? { key: undo.label as TextKey } : null,
      redo: redo ? { key: redo.label as TextKey } : null,
    });
    this.drawings.want(talk.ledger, this.state.page, this.state.row);
    this.saving.goOn(this.talk);
  }

  private withPreview(report: Report): Report {
    if (!this.preview) return report;
    try {
      return changed(report, this.preview.changes);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.preview = null; // somebody else was faster
      return report;
    }
  }
}

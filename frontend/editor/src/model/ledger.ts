/**
 * One open report: what the engine has confirmed, and our edits that it has not, rebased on top.
 *
 * No I/O and no clock: events and answers come in, `toSend` says what has to go out, and times are
 * milliseconds that the caller brings. An edit stays here until it has been seen applied or refused, so
 * it does not matter what is lost on the way, or how often it comes (docs/engine.md, "Edits").
 */

import { changed } from "./changes";
import { Refused } from "./properties";
import type { Change, Report } from "./types";

/** An edit without an answer for so long calls for a `sync`. */
export const PATIENCE = 5_000;
/** And what has been sent is not sent again before this, unless a `sync` has said that it is lost. */
export const AGAIN_AFTER = 500;
/** How often to `sync` where nothing else calls for it. */
export const SYNC_EVERY = 10_000;

export interface Edit {
  readonly number: number;
  readonly changes: readonly Change[];
}

export interface Applied {
  readonly seq: number;
  readonly client: string;
  readonly edit: number;
  readonly changes: readonly Change[];
}

/** Where our edits stand, as `open`, `sync` and `at` say it. */
export interface Standing {
  readonly seq: number;
  readonly applied: number;
}

interface Waiting extends Edit {
  sentAt: number | null;
  again: boolean;
}

/** What is kept for the page's next life. */
export interface Kept {
  readonly document: number;
  readonly client: string;
  readonly next: number;
  readonly edits: readonly Edit[];
}

export interface Outcome {
  readonly edit: Edit;
  readonly refused: boolean;
  readonly message?: string;
}

export class Ledger {
  confirmed: Report;
  seq: number;
  /** The confirmed report with our own edits on top, as far as they can be done there. */
  shown: Report;
  client: string;
  private next: number;
  private waiting: Waiting[] = [];
  private behind = false;
  private lost = false;

  /**
   * @param report what `open` has returned
   * @param standing where our edits stand, by the same answer
   * @param kept our name and edits of an earlier life, or only the name
   */
  constructor(
    report: Report,
    standing: Standing,
    kept: { client: string; next?: number; edits?: readonly Edit[] },
  ) {
    this.confirmed = report;
    this.shown = report;
    this.seq = standing.seq;
    this.client = kept.client;
    this.next = Math.max(kept.next ?? 1, standing.applied + 1);
    for (const edit of kept.edits ?? [])
      if (edit.number > standing.applied)
        this.waiting.push({ ...edit, sentAt: null, again: false });
    this.rebase();
  }

  /** How many edits the engine has not applied yet. */
  get unapplied(): number {
    return this.waiting.length;
  }

  /** The document's events have a hole, or it has gone on without us: ask with `sync`. */
  get needsSync(): boolean {
    return this.behind;
  }

  /** What is kept of the document here cannot be brought up to date: `open` it again. */
  get needsReload(): boolean {
    return this.lost;
  }

  /** Take an edit in, or throw `Refused` where it cannot be done. */
  edit(changes: readonly Change[]): Edit {
    this.shown = changed(this.shown, changes);
    const edit: Waiting = { number: this.next, changes, sentAt: null, again: false };
    this.next += 1;
    this.waiting.push(edit);
    return edit;
  }

  /** Return the edits to send now, in order, and take them for sent. */
  toSend(now: number): Edit[] {
    const first = this.waiting.findIndex((edit) => isDue(edit, now));
    if (first < 0) return [];
    // What comes after a lost one was too far ahead for the engine: it goes again as well.
    const due = this.waiting.slice(first).filter((edit) => edit.sentAt === null || edit.again);
    for (const edit of due) {
      edit.sentAt = now;
      edit.again = false;
    }
    return due.map(({ number, changes }) => ({ number, changes }));
  }

  /** When to ask `toSend` again, if nothing happens before. */
  nextSend(): number | null {
    const times = this.waiting.flatMap((edit) =>
      edit.sentAt === null ? [0] : edit.again ? [edit.sentAt + AGAIN_AFTER] : [],
    );
    return times.length ? Math.min(...times) : null;
  }

  /** When an edit has waited long enough to ask the engine about it. */
  impatientAt(): number | null {
    const oldest = this.waiting.find((edit) => edit.sentAt !== null);
    return oldest ? oldest.sentAt! + PATIENCE : null;
  }

  /** The gateway has said that this edit was not, or perhaps not, handed over. */
  notSent(number: number): void {
    const edit = this.waiting.find((each) => each.number === number);
    if (edit) edit.again = true;
    this.behind = true;
  }

  /** Take an event `applied`; it may come twice, late, or after a hole. */
  applied(event: Applied): Outcome[] {
    if (event.seq > this.seq + 1) {
      this.behind = true;
      return [];
    }
    if (event.seq <= this.seq) return [];
    try {
      this.confirmed = changed(this.confirmed, event.changes);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.lost = true; // the engine can do what we cannot: it is right
      return [];
    }
    this.seq = event.seq;
    const outcomes = event.client === this.client ? this.settle(event.edit) : [];
    this.rebase();
    return outcomes;
  }

  /** Take an event `refused`: the edit is no more. */
  refused(number: number, message: string): Outcome[] {
    const edit = this.waiting.find((each) => each.number === number);
    if (!edit) return [];
    this.waiting = this.waiting.filter((each) => each !== edit);
    this.rebase();
    return [{ edit, refused: true, message }];
  }

  /** Take an event `at`: how far the engine is with our edits. */
  at(standing: Standing): Outcome[] {
    if (standing.seq > this.seq) this.behind = true;
    for (const edit of this.waiting)
      if (edit.number > standing.applied && edit.sentAt !== null) edit.again = true;
    return standing.seq <= this.seq ? this.missing(standing.applied) : [];
  }

  /**
   * Take the answer of `sync`.
   *
   * @param asked our `seq` when it was asked, and the time: what was sent since may be on its way still
   */
  synced(
    standing: Standing,
    edits: readonly Applied[],
    asked: { seq: number; at: number },
  ): Outcome[] {
    this.behind = false;
    if (standing.seq < asked.seq) this.lost = true; // another database: its past is not ours
    const outcomes = edits.flatMap((event) => this.applied(event));
    if (this.seq < standing.seq) this.behind = true;
    else outcomes.push(...this.missing(standing.applied));
    for (const edit of this.waiting)
      if (edit.sentAt !== null && edit.sentAt < asked.at) {
        edit.again = true;
        edit.sentAt = asked.at - AGAIN_AFTER; // at once: nothing is under way any more
      }
    const first = this.waiting[0]?.number ?? this.next;
    if (first > standing.applied + 1 && this.waiting.length) this.lost = true;
    return outcomes;
  }

  /**
   * Take the document as `open` returns it when `needsReload`, or after `"reload":true`.
   *
   * @param fresh another name for us, taken where the engine does not know all edits that had been
   *   applied (its database is an older one): by the old name it would wait for them for ever
   */
  reloaded(report: Report, standing: Standing, fresh: string): void {
    this.confirmed = report;
    this.seq = standing.seq;
    this.behind = false;
    this.lost = false;
    this.waiting = this.waiting.filter((edit) => edit.number > standing.applied);
    const first = this.waiting[0]?.number ?? this.next;
    if (first > standing.applied + 1) {
      this.client = fresh;
      this.waiting = this.waiting.map((edit, index) => ({ ...edit, number: index + 1 }));
      this.next = this.waiting.length + 1;
    } else this.next = Math.max(this.next, standing.applied + 1);
    for (const edit of this.waiting) {
      edit.sentAt = null;
      edit.again = false;
    }
    this.rebase();
  }

  kept(): Kept {
    const edits = this.waiting.map(({ number, changes }) => ({ number, changes }));
    return { document: this.confirmed.id, client: this.client, next: this.next, edits };
  }

  /** Up to here everything has its outcome; what is still waiting was refused, and its event lost. */
  private missing(applied: number): Outcome[] {
    const gone = this.waiting.filter((edit) => edit.number <= applied);
    if (!gone.length) return [];
    this.waiting = this.waiting.filter((edit) => edit.number > applied);
    this.rebase();
    return gone.map((edit) => ({ edit, refused: true }));
  }

  private settle(number: number): Outcome[] {
    const edit = this.waiting.find((each) => each.number === number);
    if (!edit) return [];
    this.waiting = this.waiting.filter((each) => each !== edit);
    return [{ edit, refused: false }];
  }

  private rebase(): void {
    let report = this.confirmed;
    for (const edit of this.waiting) {
      try {
        report = changed(report, edit.changes);
      } catch (error) {
        if (!(error instanceof Refused)) throw error; // the engine will refuse it, too
      }
    }
    this.shown = report;
  }
}

function isDue(edit: Waiting, now: number): boolean {
  return edit.sentAt === null || (edit.again && now >= edit.sentAt + AGAIN_AFTER);
}

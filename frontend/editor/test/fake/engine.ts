/** An engine as docs/engine.md has it, in memory: what it has taken survives `restart`. */

import { changed } from "../../src/model/changes";
import { Refused } from "../../src/model/properties";
import type { Change, Report } from "../../src/model/types";

type Say = (event: object) => void;

interface Command {
  readonly cmd: string;
  readonly document: number;
  readonly client: string;
  readonly seq: number;
  readonly edit: number;
  readonly changes: Change[];
}

interface Kept {
  report: Report;
  seq: number;
  readonly events: { seq: number; client: string; edit: number; changes: readonly Change[] }[];
  readonly applied: Map<string, number>;
}

export class FakeEngine {
  readonly documents = new Map<number, Kept>();
  private listeners = new Map<Say, Set<number>>();
  /** Events before this many are not kept: `sync` says `reload`. */
  keepEvents = 1_000;
  done = 0;
  saves = 0;

  add(report: Report): void {
    this.documents.set(report.id, { report, seq: 0, events: [], applied: new Map() });
  }

  restart(): void {
    this.listeners = new Map();
  }

  take(command: Command, say: Say): object {
    const kept = this.documents.get(command.document);
    if (command.cmd === "documents")
      return this.ok({ documents: [...this.documents.keys()].map((id) => ({ id })) });
    if (!kept) return { success: false, message: "there is no such document" };
    const client = command.client;
    const standing = {
      seq: kept.seq,
      applied: kept.applied.get(client) ?? 0,
      revision: 1,
      unsaved: true,
      people: 1,
    };
    switch (command.cmd) {
      case "open":
        this.listen(kept.report.id, say);
        return this.ok({ document: kept.report, ...standing });
      case "sync": {
        this.listen(kept.report.id, say);
        const after = command.seq;
        if (after > kept.seq || kept.seq - after > this.keepEvents)
          return this.ok({ ...standing, reload: true });
        const edits = kept.events.filter((event) => event.seq > after);
        return this.ok({ ...standing, edits });
      }
      case "save":
        this.saves += 1;
        return this.ok({ revision: this.saves + 1, seq: kept.seq });
      case "apply":
        this.apply(kept, client, command.edit, command.changes, say);
        return this.ok({});
      default:
        return { success: false, message: "no such command" };
    }
  }

  private apply(kept: Kept, client: string, edit: number, changes: Change[], say: Say): void {
    const document = kept.report.id;
    const applied = kept.applied.get(client) ?? 0;
    if (edit !== applied + 1) {
      say({ event: "at", document, client, applied, seq: kept.seq });
      return;
    }
    kept.applied.set(client, edit);
    try {
      kept.report = changed(kept.report, changes);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say({ event: "refused", document, client, edit, message: error.message });
      return;
    }
    this.done += 1;
    kept.seq += 1;
    const event = { seq: kept.seq, client, edit, changes };
    kept.events.push(event);
    for (const [each, documents] of this.listeners)
      if (documents.has(document)) each({ event: "applied", document, ...event });
  }

  private listen(document: number, say: Say): void {
    const documents = this.listeners.get(say) ?? new Set();
    this.listeners.set(say, documents.add(document));
  }

  private ok(more: object): object {
    return { success: true, message: "", ...more };
  }
}

export function emptyReport(id = 1): Report {
  return {
    id,
    name: "Invoice",
    pages: [{ id: "p1", width: 595, height: 842, objects: [] }],
    data: null,
  };
}

/**
 * The talk about one open document: carries a ledger's edits to the engine and its events back, and
 * decides when to send, to sync and to open again. What to keep is the ledger's business.
 */

import type { Payload } from "@orion-bridge/client";
import { newClient } from "../model/ids";
import { type Edit, type Kept, Ledger, type Outcome, SYNC_EVERY } from "../model/ledger";
import type { Change, Report } from "../model/types";
import type { Engine } from "./commands";
import { type EngineEvent, eventOf, NotDone, type Opened, type Synced } from "./messages";

/** Between two tries to sync, where the first was to no avail. */
const RETRY = 1_000;

export interface Facts {
  readonly revision: number;
  readonly unsaved: boolean;
  readonly people: number;
}

export interface Listener {
  /** The report as it is to be shown, or where our edits stand, has changed. */
  changed(): void;
  refused(outcome: Outcome): void;
  /** The document is no more, or the engine will not have us open it; our edits are lost. */
  gone(message: string): void;
  /** The engine has been heard, or, otherwise, `silentSince` has changed. */
  pulse(heard: boolean): void;
}

export class Conversation {
  readonly ledger: Ledger;
  facts: Facts;
  /** Since when the engine owes us an answer and has said nothing at all; null where it does not. */
  silentSince: number | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private syncing = false;
  private syncAt: number;
  private notBefore = 0;
  private ended = false;
  private online: boolean;
  private readonly undo: (() => void)[];

  constructor(
    private readonly engine: Engine,
    opened: Opened,
    kept: { client: string; next?: number; edits?: readonly Edit[] },
    private readonly listener: Listener,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.ledger = new Ledger(opened.document, opened, kept);
    this.facts = opened;
    this.syncAt = this.now() + SYNC_EVERY;
    this.online = engine.link.state.phase === "online";
    this.undo = [
      engine.link.on("push", (payload) => this.hear(payload)),
      engine.link.on("state", ({ phase }) => this.linkIs(phase === "online")),
      engine.link.on("session", () => this.syncSoon()),
    ];
    this.work();
  }

  get document(): number {
    return this.ledger.confirmed.id;
  }

  get shown(): Report {
    return this.ledger.shown;
  }

  edit(changes: readonly Change[]): void {
    this.ledger.edit(changes);
    this.listener.changed();
    this.work();
  }

  kept(): Kept {
    return this.ledger.kept();
  }

  /** Stop to carry; the document stays open at the engine until `close` is asked. */
  end(): void {
    this.ended = true;
    clearTimeout(this.timer);
    for (const undo of this.undo) undo();
  }

  /** Ask the engine something now: its answer says that there is a way to it. */
  probe(): void {
    this.syncSoon();
  }

  private linkIs(online: boolean): void {
    const back = online && !this.online;
    this.online = online;
    if (back) this.syncSoon();
    this.work();
  }

  private syncSoon(): void {
    this.syncAt = this.notBefore = this.now();
    this.work();
  }

  private hear(payload: Payload): void {
    const event = eventOf(payload);
    if (!event || event.document !== this.document || this.ended) return;
    this.take(event);
    this.pulse(true);
    this.work();
  }

  private take(event: EngineEvent): void {
    switch (event.event) {
      case "applied":
        this.facts = { ...this.facts, unsaved: true };
        this.settle(this.ledger.applied(event));
        break;
      case "refused":
        if (event.client === this.ledger.client)
          this.settle(this.ledger.refused(event.edit, event.message));
        break;
      case "at":
        if (event.client === this.ledger.client) this.settle(this.ledger.at(event));
        break;
      case "saved":
        this.facts = {
          ...this.facts,
          revision: event.revision,
          unsaved: event.seq < this.ledger.seq,
        };
        this.listener.changed();
        break;
      case "people":
        this.facts = { ...this.facts, people: event.people };
        this.listener.changed();
        break;
      case "deleted":
        this.end();
        this.listener.gone("");
        break;
    }
  }

  private settle(outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) if (outcome.refused) this.listener.refused(outcome);
    this.listener.changed();
  }

  /** Send and ask what is due, and see to it that we are called when the next thing is. */
  private work(): void {
    clearTimeout(this.timer);
    if (this.ended) return;
    if (!this.online) {
      this.pulse(false);
      return; // `linkIs` calls again
    }
    const now = this.now();
    for (const edit of this.ledger.toSend(now)) void this.send(edit);
    const urgent = this.ledger.needsSync || this.ledger.needsReload;
    const wanted = urgent ? now : (this.ledger.impatientAt() ?? Number.POSITIVE_INFINITY);
    const due = this.syncing
      ? Number.POSITIVE_INFINITY
      : Math.max(this.notBefore, Math.min(this.syncAt, wanted));
    if (due <= now) void this.sync();
    const next = Math.min(due, this.ledger.nextSend() ?? Number.POSITIVE_INFINITY);
    if (next > now && Number.isFinite(next))
      this.timer = setTimeout(() => this.work(), Math.ceil(next - now));
    this.pulse(false);
  }

  /** Take note that the engine has been heard, or that it has been asked for something. */
  private pulse(heard: boolean): void {
    const owes = this.syncing || this.ledger.impatientAt() !== null;
    const kept = heard ? null : this.silentSince;
    const since = this.online ? (kept ?? (owes ? this.now() : null)) : null;
    const isNews = since !== this.silentSince;
    this.silentSince = since;
    if (heard || isNews) this.listener.pulse(heard);
  }

  private async send({ number, changes }: Edit): Promise<void> {
    const { document } = this;
    const { client } = this.ledger;
    try {
      await this.engine.link.notify({ cmd: "apply", document, client, edit: number, changes });
    } catch {
      // Whatever the reason: if it was done after all, the engine says so when it comes again.
      if (this.ended || client !== this.ledger.client) return;
      this.ledger.notSent(number);
      this.work();
    }
  }

  private async sync(): Promise<void> {
    this.syncing = true;
    let heard = true;
    const asked = { seq: this.ledger.seq, at: this.now() };
    this.syncAt = asked.at + SYNC_EVERY;
    this.notBefore = asked.at + RETRY;
    try {
      let reload = this.ledger.needsReload;
      if (!reload) {
        const { client } = this.ledger;
        const synced = await this.engine.sync({ document: this.document, client }, asked.seq);
        if (this.ended) return;
        reload = this.takeSync(synced, asked);
      }
      if (reload) {
        const opened = await this.engine.open(this.document, this.ledger.client);
        if (this.ended) return;
        this.ledger.reloaded(opened.document, opened, newClient());
        this.facts = opened;
      }
      this.listener.changed();
    } catch (error) {
      this.syncAt = this.notBefore = this.now() + RETRY;
      // No answer is the link's trouble, and it comes back. A refusal may be the end of the document.
      heard = error instanceof NotDone;
      if (error instanceof NotDone) await this.lookWhetherGone(error.message);
    } finally {
      this.syncing = false;
    }
    if (heard && !this.ended) this.pulse(true);
    this.work();
  }

  private async lookWhetherGone(message: string): Promise<void> {
    try {
      const documents = await this.engine.documents();
      if (this.ended || documents.some(({ id }) => id === this.document)) return;
    } catch {
      return;
    }
    this.end();
    this.listener.gone(message);
  }

  private takeSync(synced: Synced, asked: { seq: number; at: number }): boolean {
    if (synced.reload) return true;
    this.settle(this.ledger.synced(synced, synced.edits ?? [], asked));
    this.facts = synced;
    return this.ledger.needsReload;
  }
}

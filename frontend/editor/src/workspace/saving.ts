/** Saving: what is saved is what the engine has, so it waits until all edits are there. */

import type { Engine } from "../engine/commands";
import type { Conversation } from "../engine/conversation";
import { NotDone } from "../engine/messages";
import type { Store } from "./store";
import type { Toasts } from "./toasts";
import type { View } from "./view";

/** Before a save is asked for again that had no answer, in milliseconds. */
const PAUSE = 1_000;

/** Where a document is worked on. */
interface Desk {
  readonly engine: Engine;
  readonly view: Store<View>;
  readonly toasts: Toasts;
  /** Show how things are now. */
  refresh(): void;
}

export class Saving {
  private isAsked = false;

  constructor(
    private readonly desk: Desk,
    /** Called when the document has been saved. */
    private readonly saved: (document: number, revision: number) => void,
  ) {}

  /** Go on with a save that is wished for, if nothing is in its way. */
  goOn(talk: Conversation | null): void {
    const { saving, link } = this.desk.view.get();
    if (!saving || !talk || talk.ledger.unapplied || this.isAsked || link.phase !== "online")
      return;
    this.isAsked = true;
    void this.ask(talk);
  }

  private async ask(talk: Conversation): Promise<void> {
    const { view, toasts, engine } = this.desk;
    try {
      const { revision, seq } = await engine.save(talk.document);
      talk.facts = { ...talk.facts, revision, unsaved: talk.ledger.seq > seq };
      view.set({ saving: false });
      toasts.say({ key: "savedNow" });
      this.saved(talk.document, revision);
    } catch (error) {
      if (error instanceof NotDone) {
        view.set({ saving: false });
        toasts.show({ key: "notSaved", values: { reason: error.message } }, "warning");
      } else await new Promise((resolve) => setTimeout(resolve, PAUSE)); // and then again
    }
    this.isAsked = false;
    this.desk.refresh();
  }
}

/** Opening with a link that may not be there yet: it is tried until somebody chooses otherwise. */

import { Conversation } from "../engine/conversation";
import { NotDone } from "../engine/messages";
import type { Kept } from "../model/ledger";
import type { Workspace } from "./workspace";

/** After the link is there, until the next try, in milliseconds. */
const PAUSE = 500;

/** Open what was asked for, or the last document there is. */
export async function begin(workspace: Workspace, wanted: number | null): Promise<void> {
  let turn = workspace.turn;
  for (;;) {
    try {
      const first = wanted ?? workspace.kept.at(-1)?.document;
      const document = first ?? (await workspace.engine.documents())[0]?.id;
      if (turn !== workspace.turn) return; // the person has chosen meanwhile
      if (document === undefined) workspace.view.set({ trouble: { kind: "none" } });
      else {
        turn += 1; // `open` counts
        await workspace.open(document);
      }
      void sendKept(workspace);
      return;
    } catch {
      if (turn !== workspace.turn) return;
      await online(workspace);
    }
  }
}

/** Send what an earlier page has left behind for documents other than the open one. */
async function sendKept(workspace: Workspace): Promise<void> {
  for (const kept of workspace.kept) {
    try {
      if (kept.edits.length) await goOnWith(workspace, kept);
    } catch (error) {
      if (!(error instanceof NotDone)) {
        await online(workspace);
        return sendKept(workspace);
      }
      workspace.toasts.show(
        { key: "refusedBecause", values: { reason: error.message } },
        "warning",
      );
    }
    workspace.kept = workspace.kept.filter((each) => each !== kept);
  }
  workspace.refresh();
}

async function goOnWith(workspace: Workspace, kept: Kept): Promise<void> {
  const opened = await workspace.engine.open(kept.document, kept.client);
  const talk: Conversation = new Conversation(
    workspace.engine,
    opened,
    kept,
    workspace.listener(() => talk),
  );
  workspace.left.push(talk);
}

/** Fires when there is a link, and not before a moment has passed. */
function online(workspace: Workspace): Promise<void> {
  const { link } = workspace.engine;
  return new Promise((resolve) => {
    let undo = () => {};
    const look = () => {
      if (link.state.phase !== "online") return;
      undo();
      setTimeout(resolve, PAUSE);
    };
    undo = link.on("state", look);
    look();
  });
}

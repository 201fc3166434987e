/** The editor in a shop's page: what it tells the shop, and what the shop can ask of it. */

import type { Frame } from "@orion-bridge/client/frame";
import type { Shop } from "./use";
import type { Workspace } from "./workspace";

export function embed(workspace: Workspace, frame: Frame): Shop {
  let told = "";
  let isReady = false;
  const about = () => {
    const { report, facts } = workspace.state;
    return report && { document: report.id, name: report.name, revision: facts?.revision ?? 0 };
  };
  workspace.view.watch(() => {
    const { link, doubted, unapplied, facts, report, trouble } = workspace.state;
    if (report && !isReady) {
      isReady = true;
      frame.emit("ready", about());
    }
    const state = {
      phase: doubted ? "offline" : link.phase,
      waiting: unapplied,
      unsaved: (facts?.unsaved ?? false) || unapplied > 0,
      people: facts?.people ?? 0,
    };
    const text = JSON.stringify([state, trouble.kind]);
    if (text === told) return;
    told = text;
    frame.emit("state", state);
    if (trouble.kind === "gone") frame.emit("error", { message: trouble.message });
  });
  workspace.engine.link.on("error", (error) => {
    // Without a network there is no token to be had, either; `state` has said so.
    if (navigator.onLine) frame.emit("error", { message: error.message });
  });

  let ordering = false;
  workspace.onSaved = (document, revision) => {
    const report = workspace.state.report;
    frame.emit("saved", { ...about(), document, revision });
    if (!ordering) return;
    ordering = false;
    frame.emit("ordered", {
      ...about(),
      document,
      revision,
      pages: report?.pages.length ?? 0,
      rows: report?.data?.rows.length ?? 0,
    });
    workspace.toasts.show({ key: "ordered" });
  };
  /** What is ordered is what has been saved: an order waits until the engine has all of it. */
  const order = () => {
    ordering = true;
    workspace.save();
  };
  frame.onOrder(order);
  frame.on("save", () => workspace.save());
  return { order };
}

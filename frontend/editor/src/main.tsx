/** Puts the parts together: the gateway, the shop around us, the workspace and its window. */

import { OrionClient } from "@orion-bridge/client";
import type { Frame } from "@orion-bridge/client/frame";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import * as start from "./connection/start";
import { Engine } from "./engine/commands";
import "./style/editor.css";
import { languageOf } from "./text/texts";
import { begin } from "./workspace/beginning";
import { embed } from "./workspace/embed";
import { leave, take } from "./workspace/keeping";
import { listenToKeys } from "./workspace/keys";
import { Workspace } from "./workspace/workspace";

async function main(): Promise<void> {
  const place = await start.findPlace();
  const address = start.readAddress(location.hash);
  let frame: Frame | null = null;
  let strange = false;
  try {
    frame = await start.findShop(place.embedIn);
  } catch {
    strange = true; // somebody embeds us who may not, or does not know how to
  }
  const willLeave = leaveWhenHidden();
  const client = connect(place.path, frame, address.token);
  const language = languageOf([frame?.config.lang, ...navigator.languages]);
  const workspace = new Workspace(new Engine(client), language, take());
  if (strange) workspace.toasts.show({ key: "strangeFrame" }, "warning");
  const shop = frame && embed(workspace, frame);
  listenToKeys(workspace, document);
  willLeave(workspace);
  keepOverReload(workspace);
  for (const there of [true, false])
    addEventListener(there ? "online" : "offline", () => workspace.networkIs(there));
  createRoot(document.getElementById("editor")!).render(<App workspace={workspace} shop={shop} />);
  await begin(workspace, start.numberOf(frame?.config.document) ?? address.document);
  workspace.view.watch(() => {
    const { report } = workspace.state;
    if (report && !frame) start.writeAddress(report.id);
  });
  if (workspace.state.report && !frame) start.writeAddress(workspace.state.report.id);
}

function connect(path: string, frame: Frame | null, token: string | null): OrionClient {
  const ours = frame
    ? {
        getToken: () => frame.getToken(),
        session: frame.session,
        onSession: (session: Parameters<Frame["keepSession"]>[0]) => frame.keepSession(session),
      }
    : token === null
      ? {}
      : { getToken: () => token };
  // A page is not told why a socket did not open, but it is told why one was closed: so a token that
  // the gateway does not take comes in the first message, and the person hears of it.
  return new OrionClient(path, { ...ours, tokenIn: "hello" });
}

/** Listens before the client does, which closes its socket then: our last words are to go over that. */
function leaveWhenHidden(): (workspace: Workspace) => void {
  let left: Workspace | null = null;
  addEventListener("pagehide", () => left && leave(left.leave()));
  return (workspace) => {
    left = workspace;
  };
}

function keepOverReload(workspace: Workspace): void {
  addEventListener("pageshow", (event) => {
    if (event.persisted) take(); // we are alive again, and have them ourselves
  });
  addEventListener("beforeunload", (event) => {
    workspace.commit();
    if (workspace.state.unapplied) event.preventDefault();
  });
}

void main();

/** Components in a workspace with a document open, for tests. */

import { act, cleanup, render } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, vi } from "vitest";
import { Engine } from "../../src/engine/commands";
import type { Report } from "../../src/model/types";
import { WorkspaceContext } from "../../src/workspace/use";
import { Workspace } from "../../src/workspace/workspace";
import { emptyReport, FakeEngine } from "./engine";
import { FakeLink } from "./link";

// jsdom has no canvas, and complains of whoever looks.
beforeEach(() => {
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);
});
afterEach(cleanup);

export async function shown(content: ReactNode, more: Partial<Report> = {}) {
  const engine = new FakeEngine();
  engine.add({ ...emptyReport(), ...more });
  const link = new FakeLink(engine);
  const workspace = new Workspace(new Engine(link), "en");
  await workspace.open(1);
  render(<WorkspaceContext value={workspace}>{content}</WorkspaceContext>);
  await act(async () => {});
  return { workspace, engine, link };
}

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Engine } from "../../src/engine/commands";
import { begin } from "../../src/workspace/beginning";
import { leave, take } from "../../src/workspace/keeping";
import { copy, insert, nudge, paste, remove, template } from "../../src/workspace/objects";
import { Workspace } from "../../src/workspace/workspace";
import { emptyReport, FakeEngine } from "../fake/engine";
import { FakeLink } from "../fake/link";

let engine: FakeEngine;
let link: FakeLink;
let workspace: Workspace;

const objects = () => workspace.state.report!.pages[0]!.objects;
const stored = (id = 1) => engine.documents.get(id)!;
const edits = () => stored().seq;
const pass = (time: number) => vi.advanceTimersByTimeAsync(time);

async function opened(): Promise<Workspace> {
  const made = new Workspace(new Engine(link), "en", take());
  void begin(made, null);
  await pass(100);
  return made;
}

beforeEach(async () => {
  vi.useFakeTimers();
  engine = new FakeEngine();
  engine.add(emptyReport(1));
  link = new FakeLink(engine);
  workspace = await opened();
});
afterEach(() => {
  vi.useRealTimers();
  sessionStorage.clear();
});

describe("edits", () => {
  it("makes one edit of what is typed without a pause", async () => {
    const id = insert(workspace, template("text", "a"))!;
    await pass(100);
    for (const text of ["ab", "abc", "abcd"]) {
      workspace.type("typeText", "text", [{ op: "set", id, set: { text } }]);
      await pass(100);
      expect(objects()[0]).toMatchObject({ text });
    }
    expect(edits()).toBe(1);
    await pass(1_000);
    expect(edits()).toBe(2);
    workspace.undo();
    expect(objects()[0]).toMatchObject({ text: "a" });
    workspace.undo("redo");
    expect(objects()[0]).toMatchObject({ text: "abcd" });
  });

  it("makes none of what comes back to where it was", async () => {
    const id = insert(workspace, template("rectangle", ""))!;
    workspace.type("changeProperty", "width", [{ op: "set", id, set: { width: 9 } }]);
    workspace.type("changeProperty", "width", [{ op: "set", id, set: { width: 140 } }]);
    await pass(1_000);
    expect(edits()).toBe(1);
    workspace.undo();
    expect(objects()).toHaveLength(0);
  });

  it("takes a drag back that is cancelled", () => {
    const id = insert(workspace, template("rectangle", ""))!;
    const { x } = objects()[0]!;
    workspace.show("moveObjects", "gesture", [{ op: "set", id, set: { x: 1 } }]);
    expect(workspace.state.unfinished).toBe(true);
    workspace.cancel();
    expect(objects()[0]!.x).toBe(x);
    expect(workspace.state.unfinished).toBe(false);
  });

  it("nudges as one edit", async () => {
    insert(workspace, template("rectangle", ""));
    const { x } = objects()[0]!;
    for (let step = 0; step < 5; step++) nudge(workspace, 1, 0);
    await pass(1_000);
    expect(objects()[0]!.x).toBe(x + 5);
    expect(edits()).toBe(2);
  });

  it("pastes a step further each time, under ids of their own", () => {
    insert(workspace, template("rectangle", ""));
    copy(workspace);
    paste(workspace);
    paste(workspace);
    const places = objects().map(({ x }) => x - objects()[0]!.x);
    expect(places).toEqual([0, 12, 24]);
    expect(new Set(objects().map(({ id }) => id)).size).toBe(3);
  });

  it("offers to undo the last edit only", () => {
    insert(workspace, template("rectangle", ""));
    remove(workspace);
    expect(workspace.state.toasts.at(-1)!.undo).toBe(true);
    insert(workspace, template("line", ""));
    expect(workspace.state.toasts.some(({ undo }) => undo)).toBe(false);
  });

  it("forgets the selection of what others have deleted", async () => {
    const id = insert(workspace, template("rectangle", ""))!;
    await pass(100);
    expect(workspace.state.selection).toEqual([id]);
    engine.take(
      {
        cmd: "apply",
        document: 1,
        client: "c-2",
        seq: 0,
        edit: 1,
        changes: [{ op: "remove", id }],
      },
      () => {},
    );
    await pass(100);
    expect(workspace.state.selection).toEqual([]);
    workspace.undo(); // of the insert: it is gone already
    expect(workspace.state.toasts.at(-1)!.said.key).toBe("cannotUndo");
  });
});

describe("saving", () => {
  it("waits until the engine has every edit", async () => {
    const saved = vi.fn();
    workspace.onSaved = saved;
    link.cut();
    insert(workspace, template("rectangle", ""));
    workspace.save();
    await pass(30_000);
    expect(engine.saves).toBe(0);
    expect(workspace.state.saving).toBe(true);
    link.reconnect();
    await pass(2_000);
    expect(engine.saves).toBe(1);
    expect(saved).toHaveBeenCalledWith(1, 2);
    expect(workspace.state.saving).toBe(false);
    expect(workspace.state.facts!.unsaved).toBe(false);
  });
});

describe("what the browser says of the network", () => {
  it("is believed until the engine is heard", async () => {
    workspace.networkIs(false);
    expect(workspace.state.doubted).toBe(true);
    await pass(100);
    expect(workspace.state.doubted).toBe(false); // it has answered, so the browser is wrong
    link.faults = { drop: 1, twice: 0 };
    workspace.networkIs(false);
    await pass(2_000);
    expect(workspace.state.doubted).toBe(true);
    workspace.networkIs(true);
    expect(workspace.state.doubted).toBe(false);
  });

  it("is not believed where there is no document to ask for", async () => {
    const alone = new Workspace(new Engine(link), "en");
    alone.networkIs(false);
    expect(alone.state.doubted).toBe(false);
  });

  it("is no news without a link", async () => {
    workspace.networkIs(false);
    link.cut();
    expect(workspace.state.doubted).toBe(false);
    workspace.networkIs(false);
    expect(workspace.state.doubted).toBe(false);
  });
});

describe("documents", () => {
  it("goes on sending what waits in a document that is left", async () => {
    engine.add(emptyReport(2));
    link.cut();
    insert(workspace, template("rectangle", ""));
    link.become("connecting");
    void begin(workspace, 2);
    await pass(100);
    expect(workspace.state.report!.id).toBe(2);
    expect(workspace.state.unapplied).toBe(1);
    link.reconnect();
    await pass(2_000);
    expect(workspace.state.unapplied).toBe(0);
    expect(stored(1).report.pages[0]!.objects).toHaveLength(1);
  });

  it("tries again when there is no link at first", async () => {
    link.cut();
    link.faults = { drop: 1, twice: 0 };
    const late = new Workspace(new Engine(link), "en");
    void begin(late, 1);
    await pass(10_000);
    expect(late.state.report).toBeNull();
    link.faults = { drop: 0, twice: 0 };
    link.reconnect();
    await pass(2_000);
    expect(late.state.report!.id).toBe(1);
  });

  it("says so when the document is not there", async () => {
    void workspace.open(7);
    await pass(100);
    expect(workspace.state.trouble).toEqual({
      kind: "gone",
      message: "there is no such document",
    });
  });
});

describe("a reload", () => {
  it("takes what waits along, once", async () => {
    link.cut();
    insert(workspace, template("rectangle", ""));
    expect(leave(workspace.leave())).toBe(true);
    link.reconnect();
    link = new FakeLink(engine);
    const again = await opened();
    await pass(1_000);
    expect(again.state.unapplied).toBe(0);
    expect(stored().report.pages[0]!.objects).toHaveLength(1);
    expect(take()).toEqual([]);
  });

  it("goes on without storage", () => {
    const refuse = vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
      throw new DOMException("denied", "SecurityError");
    });
    expect(leave([{ document: 1, client: "c-1", next: 1, edits: [] }])).toBe(false);
    refuse.mockRestore();
  });

  it("takes nothing that is not ours", () => {
    sessionStorage.setItem("orion-editor.edits", '[{"document":"x"},3,null]');
    expect(take()).toEqual([]);
    sessionStorage.setItem("orion-editor.edits", "{");
    expect(take()).toEqual([]);
  });
});

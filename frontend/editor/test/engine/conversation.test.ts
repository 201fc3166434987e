import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Engine } from "../../src/engine/commands";
import { Conversation } from "../../src/engine/conversation";
import type { Kept } from "../../src/model/ledger";
import { Refused } from "../../src/model/properties";
import type { Change } from "../../src/model/types";
import { emptyReport, FakeEngine } from "../fake/engine";
import { FakeLink, randomOf } from "../fake/link";

const now = () => Date.now();
const text = (id: string, value = "a"): Change => ({
  op: "insert",
  page: "p1",
  object: { id, kind: "text", text: value, x: 1, y: 2, width: 100, height: 20 },
});

class Editor {
  readonly link: FakeLink;
  refused = 0;
  heardAt = 0;
  gone: string | null = null;
  talk!: Conversation;

  constructor(
    readonly engine: FakeEngine,
    readonly name: string,
    seed = 0,
  ) {
    this.link = new FakeLink(engine, seed ? randomOf(seed) : undefined);
  }

  async open(kept?: Kept): Promise<this> {
    const calls = new Engine(this.link);
    const faults = this.link.faults;
    this.link.faults = { drop: 0, twice: 0 };
    const client = kept?.client ?? this.name;
    const opening = calls.open(1, client);
    await vi.advanceTimersByTimeAsync(100);
    const listener = {
      changed: () => {},
      refused: () => this.refused++,
      gone: (message: string) => {
        this.gone = message;
      },
      pulse: (heard: boolean) => {
        if (heard) this.heardAt = now();
      },
    };
    this.talk = new Conversation(calls, await opening, kept ?? { client }, listener, now);
    this.link.faults = faults;
    return this;
  }
}

describe("a conversation about a document", () => {
  let engine: FakeEngine;

  beforeEach(() => {
    vi.useFakeTimers();
    engine = new FakeEngine();
    engine.add(emptyReport());
  });
  afterEach(() => vi.useRealTimers());

  const server = () => engine.documents.get(1)!.report;

  it("shows an edit at once, and counts it until the engine has applied it", async () => {
    const one = await new Editor(engine, "c-1").open();
    one.talk.edit([text("t1")]);
    expect(one.talk.shown.pages[0]!.objects).toHaveLength(1);
    expect(one.talk.ledger.unapplied).toBe(1);
    await vi.advanceTimersByTimeAsync(50);
    expect(one.talk.ledger.unapplied).toBe(0);
    expect(server()).toEqual(one.talk.shown);
  });

  it("keeps what is edited without a link, and sends it in order when there is one", async () => {
    const one = await new Editor(engine, "c-1").open();
    one.link.cut();
    one.talk.edit([text("t1")]);
    one.talk.edit([{ op: "set", id: "t1", set: { text: "b" } }]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(one.link.notified).toBe(0);
    expect(one.talk.ledger.unapplied).toBe(2);
    one.link.reconnect();
    await vi.advanceTimersByTimeAsync(100);
    expect(one.talk.ledger.unapplied).toBe(0);
    expect(server().pages[0]!.objects[0]).toMatchObject({ id: "t1", text: "b" });
  });

  it("knows since when the engine owes it an answer", async () => {
    const one = await new Editor(engine, "c-1").open();
    expect(one.talk.silentSince).toBeNull();
    one.talk.edit([text("t1")]);
    expect(one.talk.silentSince).toBe(now());
    await vi.advanceTimersByTimeAsync(100);
    expect(one.talk.silentSince).toBeNull();
    one.link.faults = { drop: 1, twice: 0 };
    one.talk.edit([text("t2")]);
    const since = now();
    one.heardAt = 0;
    // The syncs that are tried meanwhile fail, and say nothing of the engine.
    for (let second = 0; second < 12; second++) {
      await vi.advanceTimersByTimeAsync(1_000);
      expect(one.talk.silentSince).toBe(since);
    }
    expect(one.heardAt).toBe(0);
    one.link.faults = { drop: 0, twice: 0 };
    await vi.advanceTimersByTimeAsync(5_000);
    expect([one.talk.silentSince, one.talk.ledger.unapplied]).toEqual([null, 0]);
    expect(one.heardAt).toBeGreaterThan(since);
  });

  it("owes nothing that was asked over a link that is gone", async () => {
    const one = await new Editor(engine, "c-1").open();
    one.link.faults = { drop: 1, twice: 0 };
    one.talk.edit([text("t1")]);
    await vi.advanceTimersByTimeAsync(4_000);
    one.link.cut();
    expect(one.talk.silentSince).toBeNull();
    one.link.reconnect();
    expect(one.talk.silentSince).toBe(now());
  });

  it("asks at once when it is to, with nothing to send", async () => {
    const one = await new Editor(engine, "c-1").open();
    one.talk.probe();
    expect(one.talk.silentSince).toBe(now());
    await vi.advanceTimersByTimeAsync(100);
    expect([one.talk.silentSince, one.heardAt]).toEqual([null, expect.any(Number)]);
    expect(one.heardAt).toBeGreaterThan(0);
  });

  it("puts what others do below its own edits", async () => {
    const one = await new Editor(engine, "c-1").open();
    const two = await new Editor(engine, "c-2").open();
    one.talk.edit([text("t1")]);
    await vi.advanceTimersByTimeAsync(50);
    one.link.cut();
    one.talk.edit([{ op: "set", id: "t1", set: { x: 50 } }]);
    two.talk.edit([{ op: "set", id: "t1", set: { x: 9, y: 9 } }]);
    await vi.advanceTimersByTimeAsync(50);
    one.link.reconnect();
    await vi.advanceTimersByTimeAsync(200);
    expect(server().pages[0]!.objects[0]).toMatchObject({ x: 50, y: 9 });
    expect(one.talk.shown).toEqual(server());
    expect(two.talk.shown).toEqual(server());
  });

  it("tells of an edit that the engine refuses, and takes it off the page", async () => {
    const one = await new Editor(engine, "c-1").open();
    const two = await new Editor(engine, "c-2").open();
    one.talk.edit([text("t1")]);
    await vi.advanceTimersByTimeAsync(50);
    two.link.cut();
    two.talk.edit([{ op: "set", id: "t1", set: { x: 50 } }]);
    one.talk.edit([{ op: "remove", id: "t1" }]);
    await vi.advanceTimersByTimeAsync(50);
    two.link.reconnect();
    await vi.advanceTimersByTimeAsync(200);
    expect(two.refused).toBe(1);
    expect(two.talk.ledger.unapplied).toBe(0);
    expect(two.talk.shown.pages[0]!.objects).toHaveLength(0);
  });

  it("finds out about a refusal whose event was lost", async () => {
    const one = await new Editor(engine, "c-1").open();
    engine.restart(); // the engine has forgotten whom to tell
    const other = engine.documents.get(1)!;
    one.talk.edit([text("t1")]);
    one.talk.edit([{ op: "remove", id: "t1" }]);
    other.applied.set("c-1", 1); // as if edit 1 had been refused
    await vi.advanceTimersByTimeAsync(7_000);
    expect(one.refused).toBe(2);
    expect(one.talk.ledger.unapplied).toBe(0);
  });

  it("goes on after an engine that has forgotten who listens", async () => {
    const one = await new Editor(engine, "c-1").open();
    engine.restart();
    one.talk.edit([text("t1")]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(one.talk.ledger.unapplied).toBe(1);
    await vi.advanceTimersByTimeAsync(6_000);
    expect(one.talk.ledger.unapplied).toBe(0);
  });

  it("opens again where the events between are no longer kept", async () => {
    const one = await new Editor(engine, "c-1").open();
    const two = await new Editor(engine, "c-2").open();
    engine.keepEvents = 1;
    one.link.cut();
    one.talk.edit([text("mine")]);
    for (const id of ["a", "b", "c"]) two.talk.edit([text(id)]);
    await vi.advanceTimersByTimeAsync(100);
    one.link.reconnect();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(one.talk.ledger.unapplied).toBe(0);
    expect(one.talk.shown).toEqual(server());
    expect(server().pages[0]!.objects.map(({ id }) => id)).toContain("mine");
  });

  it("goes on under another name with a database that does not know its past", async () => {
    const one = await new Editor(engine, "c-1").open();
    one.talk.edit([text("t1")]);
    await vi.advanceTimersByTimeAsync(100);
    engine.add(emptyReport());
    engine.restart();
    one.talk.edit([text("t2")]);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(one.talk.ledger.unapplied).toBe(0);
    expect(server().pages[0]!.objects.map(({ id }) => id)).toEqual(["t2"]);
    expect(one.talk.shown).toEqual(server());
  });

  it("takes its edits along into the page's next life", async () => {
    const one = await new Editor(engine, "c-1").open();
    one.talk.edit([text("t1")]);
    await vi.advanceTimersByTimeAsync(100);
    one.link.cut();
    one.talk.edit([text("t2")]);
    const kept = one.talk.kept();
    one.talk.end();
    const again = await new Editor(engine, "unused").open(JSON.parse(JSON.stringify(kept)));
    await vi.advanceTimersByTimeAsync(100);
    expect(again.talk.ledger.unapplied).toBe(0);
    expect(server().pages[0]!.objects.map(({ id }) => id)).toEqual(["t1", "t2"]);
    again.talk.edit([text("t3")]);
    await vi.advanceTimersByTimeAsync(100);
    expect(again.talk.ledger.unapplied).toBe(0);
  });

  it("says so when the document is no more", async () => {
    const one = await new Editor(engine, "c-1").open();
    engine.documents.clear();
    await vi.advanceTimersByTimeAsync(11_000);
    expect(one.gone).toBe("there is no such document");
  });

  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8])
    it(`loses nothing and does nothing twice, whatever is lost on the way (seed ${seed})`, async () => {
      const random = randomOf(seed * 77);
      const editors = await Promise.all(
        ["c-1", "c-2", "c-3"].map((name, index) => new Editor(engine, name, seed * 10 + index)),
      );
      for (const editor of editors) {
        await editor.open();
        editor.link.faults = { drop: 0.25, twice: 0.2 };
      }
      let made = 0;
      for (let step = 0; step < 150; step++) {
        const editor = editors[Math.floor(random() * editors.length)]!;
        const { objects } = editor.talk.shown.pages[0]!;
        const some = objects[Math.floor(random() * objects.length)];
        try {
          if (!some || random() < 0.3) editor.talk.edit([text(`t${step}`)]);
          else if (random() < 0.2) editor.talk.edit([{ op: "remove", id: some.id }]);
          else editor.talk.edit([{ op: "set", id: some.id, set: { x: step } }]);
          made += 1;
        } catch (error) {
          expect(error).toBeInstanceOf(Refused);
        }
        if (random() < 0.08) editor.link.cut();
        if (random() < 0.04) engine.restart();
        if (random() < 0.3) editor.link.reconnect();
        await vi.advanceTimersByTimeAsync(random() * 400);
      }
      for (const editor of editors) {
        editor.link.reconnect();
        editor.link.faults = { drop: 0, twice: 0 };
      }
      await vi.advanceTimersByTimeAsync(30_000);
      for (const editor of editors) {
        expect(editor.talk.ledger.unapplied).toBe(0);
        expect(editor.talk.shown).toEqual(server());
      }
      const refused = editors.reduce((sum, editor) => sum + editor.refused, 0);
      expect(engine.done).toBe(made - refused);
      expect(engine.done).toBeGreaterThan(50);
    });
});

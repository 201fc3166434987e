// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type EditorOptions, OrionEditor } from "../src/embed/index.js";
import { type Frame, type FrameOptions, inFrame, isFramed } from "../src/frame.js";

const EDITOR = "https://editor.example";
const SHOP = "https://shop.example";

let opened: OrionEditor[] = [];
let frames: Frame[] = [];

/** Ports carry messages by turns of the event loop; so many are enough for there and back. */
async function carried(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) {
    await new Promise((done) => setTimeout(done, 1));
    await new Promise((done) => setImmediate(done));
  }
}

function open(options: Partial<EditorOptions> = {}): OrionEditor {
  const editor = OrionEditor.open({
    url: `${EDITOR}/edit?x=1`,
    ...(options.modal ? {} : { container: document.body }),
    ...options,
  });
  opened.push(editor);
  return editor;
}

/** Have a message come, as a browser would say whose it is. */
function message(data: unknown, source: unknown, origin: string, ports: MessagePort[] = []): void {
  const event = Object.assign(new Event("message"), { data, source, origin, ports });
  window.dispatchEvent(event);
}

/** Say hello for the frame; return what the shop answers: message, target and port. */
function hello(editor: OrionEditor) {
  const frame = editor.iframe.contentWindow!;
  const answer = vi.spyOn(frame, "postMessage").mockImplementation(() => {});
  message({ orion: 1, type: "hello" }, frame, EDITOR);
  const [welcome, target, ports] = answer.mock.calls[0] as unknown as [
    object,
    string,
    MessagePort[],
  ];
  return { welcome, target, port: ports[0]! };
}

/** Stand in a frame of this shop's; return what was said to its window. */
function framed() {
  const parent = { postMessage: vi.fn() };
  vi.spyOn(window, "parent", "get").mockReturnValue(parent as unknown as Window);
  return parent;
}

async function join(options: Partial<FrameOptions> = {}, welcome: object = {}) {
  const parent = framed();
  const joining = inFrame({ shops: [SHOP], ...options });
  const { port1, port2 } = new MessageChannel();
  const heard: unknown[] = [];
  port1.onmessage = ({ data }) => heard.push(data);
  const answer = { orion: 1, type: "welcome", config: {}, session: null, ...welcome };
  message(answer, parent, SHOP, [port2]);
  const frame = await joining;
  frames.push(frame);
  return { frame, parent, port: port1, heard };
}

beforeEach(() => {
  HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
    this.open = true;
  };
  HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
    this.open = false;
  };
});
afterEach(() => {
  for (const each of opened) each.close();
  for (const each of frames) each.close();
  opened = frames = [];
  document.body.replaceChildren();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("the shop's side", () => {
  it("makes a frame that may do what an editor needs, and no more", () => {
    const { iframe } = open({ title: "Report" });
    expect(iframe.parentElement).toBe(document.body);
    expect(iframe.src).toBe(`${EDITOR}/edit?x=1`);
    expect(iframe.title).toBe("Report");
    expect(iframe.getAttribute("sandbox")!.split(" ").sort()).toEqual([
      "allow-downloads",
      "allow-forms",
      "allow-modals",
      "allow-same-origin",
      "allow-scripts",
    ]);
    expect(iframe.allow).toBe("clipboard-write; fullscreen");
    expect(iframe.referrerPolicy).toBe("strict-origin");
  });

  it("takes a selector, and says so if there is no such element", () => {
    document.body.innerHTML = "<main></main>";
    expect(open({ container: "main" }).iframe.parentElement!.tagName).toBe("MAIN");
    expect(() => open({ container: "#nowhere" })).toThrow("#nowhere");
  });

  it("answers its frame alone, at its origin alone, and counts all others", () => {
    const editor = open({ document: "invoice", lang: "ko" });
    const frame = editor.iframe.contentWindow!;
    const answer = vi.spyOn(frame, "postMessage").mockImplementation(() => {});
    const greeting = { orion: 1, type: "hello" };
    message(greeting, window, EDITOR);
    message(greeting, frame, "https://evil.example");
    message(greeting, null, EDITOR);
    message({ type: "hello" }, frame, EDITOR);
    message("hello", frame, EDITOR);
    message(null, frame, EDITOR);
    expect([answer.mock.calls.length, editor.ignored]).toEqual([0, 6]);
    message(greeting, frame, EDITOR);
    const [welcome, target, ports] = answer.mock.calls[0] as unknown as [
      object,
      string,
      unknown[],
    ];
    expect(target).toBe(EDITOR);
    expect(welcome).toMatchObject({
      orion: 1,
      type: "welcome",
      config: { document: "invoice", lang: "ko" },
      session: null,
    });
    expect(ports).toHaveLength(1);
    expect(editor.ignored).toBe(6);
  });

  it("gives tokens when they are asked for, or says why not", async () => {
    let tokens = 0;
    const editor = open({
      getToken: async () => {
        if (tokens++) throw new Error("logged out");
        return "t1";
      },
    });
    const { port } = hello(editor);
    const heard: unknown[] = [];
    port.onmessage = ({ data }) => heard.push(data);
    port.postMessage({ type: "token", id: 1 });
    await carried();
    port.postMessage({ type: "token", id: 2 });
    await carried();
    expect(heard).toEqual([
      { type: "token", id: 1, token: "t1" },
      { type: "token", id: 2, error: "logged out" },
    ]);
  });

  it("keeps the session for a frame of the same document, and only for that", async () => {
    const session = { sid: "s", key: "k" };
    const first = open({ document: "kept" });
    hello(first).port.postMessage({ type: "session", session });
    await carried();
    vi.restoreAllMocks();
    expect(hello(first).welcome).toMatchObject({ session }); // the frame was loaded anew
    first.close();
    const again = open({ document: "kept" });
    const { welcome, port } = hello(again);
    expect(welcome).toMatchObject({ session });
    expect(hello(open({ document: "other" })).welcome).toMatchObject({ session: null });
    port.postMessage({ type: "session", session: null });
    await carried();
    expect(hello(open({ document: "kept" })).welcome).toMatchObject({ session: null });
  });

  it("reports events, to those who listen for one, and to those who listen for all", async () => {
    const told: unknown[] = [];
    const note = (name: string) => (detail: unknown) => void told.push([name, detail]);
    const editor = open({
      onReady: note("onReady"),
      onSaved: note("onSaved"),
      onOrdered: note("onOrdered"),
      onError: note("onError"),
      onState: note("onState"),
      on: (name, detail) => void told.push(["on", name, detail]),
    });
    const { port } = hello(editor);
    for (const name of ["ready", "saved", "ordered", "error", "state", "own", "toString"]) {
      port.postMessage({ type: "event", name, detail: { name } });
    }
    port.postMessage({ type: "nonsense" });
    await carried();
    const names = ["Ready", "Saved", "Ordered", "Error", "State"];
    expect(told).toEqual([
      ...names.flatMap((name) => {
        const detail = { name: name.toLowerCase() };
        return [
          [`on${name}`, detail],
          ["on", name.toLowerCase(), detail],
        ];
      }),
      ["on", "own", { name: "own" }],
      ["on", "toString", { name: "toString" }],
    ]);
    expect(editor.ignored).toBe(1);
  });

  it("sends commands, those before the frame is there included", async () => {
    const editor = open();
    editor.send("order", { quantity: 1 });
    const { port } = hello(editor);
    const heard: unknown[] = [];
    port.onmessage = ({ data }) => heard.push(data);
    editor.send("save");
    await carried();
    expect(heard).toEqual([
      { type: "command", name: "order", detail: { quantity: 1 } },
      { type: "command", name: "save", detail: undefined },
    ]);
  });

  it("follows the height of the content, if it is asked to", async () => {
    for (const autoHeight of [true, false]) {
      const editor = open({ autoHeight });
      hello(editor).port.postMessage({ type: "height", height: 432 });
      await carried();
      expect(editor.iframe.style.height).toBe(autoHeight ? "432px" : "100%");
    }
  });

  it("closes once, and hears nothing any more", () => {
    const onClose = vi.fn();
    const editor = open({ onClose });
    editor.close();
    editor.close();
    message("x", window, SHOP);
    expect([onClose.mock.calls.length, editor.iframe.isConnected, editor.ignored]).toEqual([
      1,
      false,
      0,
    ]);
  });
});

describe("the modal dialogue", () => {
  it("is a modal one with a name, and a button that closes it", () => {
    const showModal = vi.spyOn(HTMLDialogElement.prototype, "showModal");
    const onClose = vi.fn();
    const editor = open({ modal: true, title: "Report", onClose });
    const dialog = document.querySelector("dialog")!;
    expect(showModal).toHaveBeenCalledOnce();
    expect(dialog.contains(editor.iframe)).toBe(true);
    expect([dialog.getAttribute("aria-label"), dialog.getAttribute("aria-modal")]).toEqual([
      "Report",
      "true",
    ]);
    const button = dialog.querySelector("button")!;
    expect([button.textContent, button.getAttribute("aria-label")]).toEqual(["×", "Close"]);
    button.click();
    expect([onClose.mock.calls.length, dialog.isConnected]).toEqual([1, false]);
  });

  it("has its button in Korean, too", () => {
    open({ modal: true, lang: "ko" });
    expect(document.querySelector("button")!.getAttribute("aria-label")).toBe("닫기");
  });

  it("is closed by Escape, also by one that was pressed inside of the frame", async () => {
    const outside = open({ modal: true });
    document.querySelector("dialog")!.dispatchEvent(new Event("cancel"));
    expect(outside.iframe.isConnected).toBe(false);
    const inside = open({ modal: true });
    hello(inside).port.postMessage({ type: "escape" });
    await carried();
    expect(inside.iframe.isConnected).toBe(false);
    const noModal = open();
    hello(noModal).port.postMessage({ type: "escape" });
    await carried();
    expect(noModal.iframe.isConnected).toBe(true);
  });
});

describe("the frame's side", () => {
  it("is no frame in a window of its own", async () => {
    expect(isFramed()).toBe(false);
    await expect(inFrame({ shops: [SHOP] })).rejects.toThrow("not in a frame");
  });

  it("greets the page that it was loaded by, if that may embed it, or all that may", async () => {
    const referrer = vi.spyOn(document, "referrer", "get");
    for (const [page, greeted] of [
      [`${SHOP}/product/1`, [SHOP]],
      ["https://evil.example/", ["https://other.example", SHOP]],
      ["", ["https://other.example", SHOP]],
    ] as const) {
      referrer.mockReturnValue(page);
      const { parent } = await join({ shops: ["https://other.example", SHOP] });
      expect(parent.postMessage.mock.calls).toEqual(
        greeted.map((origin) => [{ orion: 1, type: "hello" }, origin]),
      );
    }
  });

  it("greets again until it is answered, and gives up in the end", async () => {
    vi.useFakeTimers();
    const parent = framed();
    const failed = inFrame({ shops: [SHOP], timeout: 1000 }).catch(
      (error: Error) => error.message,
    );
    await vi.advanceTimersByTimeAsync(1000);
    expect(await failed).toBe("no shop has answered");
    const { length } = parent.postMessage.mock.calls;
    expect(length).toBeGreaterThan(3);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(parent.postMessage.mock.calls).toHaveLength(length);
  });

  it("takes a welcome of its parent alone, at an origin that may embed it, with a port", async () => {
    const parent = framed();
    const joining = inFrame({ shops: [SHOP] });
    const { port1, port2 } = new MessageChannel();
    const welcome = { orion: 1, type: "welcome", config: {}, session: null };
    message(welcome, window, SHOP, [port2]);
    message(welcome, parent, "https://evil.example", [port2]);
    message(welcome, parent, SHOP);
    message({ ...welcome, orion: 2 }, parent, SHOP, [port2]);
    message({ ...welcome, type: "hello" }, parent, SHOP, [port2]);
    message({ ...welcome, config: { lang: "ko" } }, parent, SHOP, [port2]);
    const frame = await joining;
    frames.push(frame);
    expect([frame.ignored, frame.shop, frame.config]).toEqual([5, SHOP, { lang: "ko" }]);
    message(welcome, parent, SHOP, [port1]);
    expect(frame.ignored).toBe(6);
  });

  it("asks for tokens, each for itself", async () => {
    const { frame, port, heard } = await join();
    const tokens = [frame.getToken(), frame.getToken(), frame.getToken()];
    const failed = tokens[1]!.catch((error: Error) => error.message);
    const left = tokens[2]!.catch((error: Error) => error.message);
    await carried();
    expect(heard).toEqual([1, 2, 3].map((id) => ({ type: "token", id })));
    port.postMessage({ type: "token", id: 2, error: "logged out" });
    port.postMessage({ type: "token", id: 1, token: "t1" });
    expect(await Promise.all([tokens[0], failed])).toEqual(["t1", "logged out"]);
    frame.close();
    expect(await left).toBe("the frame was closed");
  });

  it("has the session kept, tells events, and hears commands that came before", async () => {
    const session = { sid: "s", key: "k" };
    const { frame, port, heard } = await join({}, { session });
    expect(frame.session).toEqual(session);
    frame.keepSession(null);
    frame.emit("saved", { id: 1 });
    port.postMessage({ type: "command", name: "order", detail: 1 });
    port.postMessage({ type: "command", name: "save", detail: 2 });
    port.postMessage({ type: "nonsense" });
    await carried();
    const commands: unknown[] = [];
    const forget = frame.onOrder((detail) => commands.push(detail));
    port.postMessage({ type: "command", name: "order", detail: 3 });
    await carried();
    forget();
    port.postMessage({ type: "command", name: "order", detail: 4 });
    await carried();
    expect(commands).toEqual([1, 3]);
    expect(heard).toEqual([
      { type: "session", session: null },
      { type: "event", name: "saved", detail: { id: 1 } },
    ]);
  });

  it("tells its height, and the Escape that nothing else has taken", async () => {
    const observed = vi.fn();
    let changed = () => {};
    class ResizeObserver {
      constructor(callback: () => void) {
        changed = callback;
      }
      observe = observed;
      disconnect = vi.fn();
    }
    vi.stubGlobal("ResizeObserver", ResizeObserver);
    const { heard } = await join({}, { config: { autoHeight: true, modal: true } });
    expect(observed).toHaveBeenCalledWith(document.documentElement);
    changed();
    const press = (key: string) =>
      new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
    document.body.dispatchEvent(press("a"));
    document.body.dispatchEvent(press("Escape"));
    const taken = press("Escape");
    taken.preventDefault();
    document.body.dispatchEvent(taken);
    addEventListener("keydown", (event) => event.preventDefault(), { once: true });
    document.body.dispatchEvent(press("Escape")); // taken by somebody who listens after the frame
    await carried();
    vi.unstubAllGlobals();
    expect(heard).toEqual([{ type: "height", height: 0 }, { type: "escape" }]);
  });
});

describe("both", () => {
  it("become acquainted, and work together", async () => {
    const saved: unknown[] = [];
    const editor = open({
      document: "both",
      getToken: () => "t",
      onSaved: (id) => saved.push(id),
    });
    const { welcome, port } = hello(editor);
    const parent = framed();
    const joining = inFrame({ shops: [SHOP] });
    message(welcome, parent, SHOP, [port]);
    const frame = await joining;
    frames.push(frame);
    expect(frame.config.document).toBe("both");
    expect(await frame.getToken()).toBe("t");
    const ordered = new Promise((resolve) => frame.onOrder(resolve));
    editor.send("order", 7);
    expect(await ordered).toBe(7);
    frame.emit("saved", 1);
    frame.keepSession({ sid: "s", key: "k" });
    await carried();
    expect(saved).toEqual([1]);
    vi.restoreAllMocks();
    expect(hello(editor).welcome).toMatchObject({ session: { sid: "s", key: "k" } });
  });
});

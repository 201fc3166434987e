// The console: joins the connection, the page and the table of messages.

import { Connection } from "./connection.js";
import { EXAMPLES } from "./examples.js";
import { MessageLog, milliseconds } from "./log.js";
import { PageView } from "./page.js";

const byId = (id) => document.getElementById(id);
const STATES = { connecting: "Connecting", online: "Online", reconnecting: "Reconnecting", offline: "Offline" };

const log = new MessageLog();
const view = new PageView(byId("canvas"), {
  mayEdit: () => connection.online,
  onMove: move,
  onSelect: showSelection,
  onRemove: remove,
});
const connection = new Connection(`wss://${location.host}/ws`, {
  onState: showState,
  onStray: (event) => {
    log.stray(event);
    hear(event);
  },
});

let state = { name: "connecting" };
let ticking = null;
let listed = [];
let open = null; // the open document as the engine has it, with unsaved
let page = 1;
let client = ""; // a name for this page's edits of the open document, and how many there are
let edits = 0;
let rendering = null; // null, "now" while a render is under way, "again" if another has to follow
let texts = new Map(); // id -> text, of the text objects of the page

// Messages

/** Send one message and show it in the table; returns its outcome. */
async function exchange(body) {
  const entry = log.begin(body);
  const result = await connection.request(body);
  entry.end(result);
  if (result.time !== null) byId("state").title = `last round trip ${milliseconds(result.time)} ms`;
  return result;
}

/** As exchange, but returns the answer only, or null if there was none. */
const ask = async (body) => (await exchange(body)).answer;

/** As ask, for what a button does: a failure is shown. Returns the answer only if it succeeded. */
async function act(body, onRefusal = () => {}) {
  const { outcome, answer } = await exchange(body);
  if (answer?.success) return answer;
  if (answer) {
    onRefusal(answer);
    notify(answer.message);
  } else if (outcome !== "unsent") {
    const why = outcome === "timeout" ? "got no answer in time" : "was under way when the connection broke";
    notify(`“${body.cmd}” ${why}: it may have been carried out or not.`);
  }
  return null;
}

/** What the engine says on its own: somebody has changed the open document, perhaps this page. */
function hear(event) {
  if (open === null || event?.document !== open.id) return;
  if (event.event === "deleted") {
    say(`“${open.name}” has been deleted`);
    setOpen(null);
    list();
  } else if (event.event === "applied" && event.client !== client) {
    render();
  } else if (event.event === "saved") {
    open.unsaved = false;
    showTools();
  }
}

// Connection

function showState(next) {
  const before = state.name;
  state = next;
  byId("badge").dataset.state = next.name;
  byId("state").textContent = next.reason ? `${STATES[next.name]}: ${next.reason}` : STATES[next.name];
  byId("toggle").textContent = next.name === "offline" ? "Connect" : "Disconnect";
  byId("send").disabled = next.name !== "online";
  clearInterval(ticking);
  showCountdown();
  if (next.name === "reconnecting") ticking = setInterval(showCountdown, 100);
  if (next.name === "online" && before !== "online") arrive();
  showTools();
}

function showCountdown() {
  const left = state.name === "reconnecting" ? Math.max(0, state.retryAt - performance.now()) : null;
  byId("countdown").textContent =
    left === null ? "" : `${(left / 1000).toFixed(1)} s of ${(state.wait / 1000).toFixed(1)} s`;
}

/** A new connection: nothing is open on the engine's side. */
async function arrive() {
  const hello = await ask({ cmd: "hello" });
  if (!hello?.success) return; // gone again: the next connection arrives anew
  byId("engine").textContent = `${hello.message} · ${location.host}`;
  if (open !== null) {
    await reopen();
    return;
  }
  await list();
  if (listed.length > 0) await openDocument(listed[0].id);
}

/** Open on a new connection what was open on the one before. */
async function reopen() {
  const { id, name } = open;
  const answer = await ask({ cmd: "open", document: id, client });
  if (answer === null) return;
  if (answer.success) {
    edits = answer.applied; // what was under way has been done, or is lost
    setOpen(answer);
    await Promise.all([list(), render()]);
  } else {
    setOpen(null);
    notify(`“${name}” cannot be opened again: ${answer.message}`);
    await list();
  }
}

// Documents

async function list() {
  const answer = await ask({ cmd: "documents" });
  if (!answer?.success) return;
  listed = answer.documents;
  byId("no-documents").hidden = listed.length > 0;
  byId("documents").replaceChildren(...listed.map(documentRow));
}

function documentRow({ id, name, pages, saved }) {
  const item = document.createElement("li");
  const current = open?.id === id;
  if (current) item.setAttribute("aria-current", "true");
  const words = document.createElement("div");
  words.className = "words";
  const title = document.createElement("strong");
  title.textContent = name;
  const detail = document.createElement("span");
  detail.className = "quiet";
  detail.textContent = `No. ${id}${pages > 1 ? ` · ${pages} pages` : ""} · ${ago(saved)}`;
  words.append(title, detail);
  const buttons = document.createElement("div");
  buttons.className = "actions";
  if (!current) buttons.append(button("Open", () => openDocument(id), { label: `Open ${name}` }));
  buttons.append(
    button("Delete", () => confirmDelete(id, name), { label: `Delete ${name}`, className: "ghost" }),
  );
  item.append(words, buttons);
  return item;
}

function ago(seconds) {
  const passed = Math.max(0, Date.now() / 1000 - seconds);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
  if (passed < 60) return "just now";
  if (passed < 3600) return format.format(-Math.floor(passed / 60), "minute");
  if (passed < 86400) return format.format(-Math.floor(passed / 3600), "hour");
  return format.format(-Math.floor(passed / 86400), "day");
}

async function openDocument(id) {
  if (open !== null && open.id !== id) await ask({ cmd: "close", document: open.id });
  client = `console-${crypto.randomUUID()}`;
  edits = 0;
  const answer = await act({ cmd: "open", document: id, client });
  if (!answer) return;
  if (open?.id !== id) page = 1;
  setOpen(answer);
  await Promise.all([list(), render()]);
}

async function newDocument() {
  const answer = await act({ cmd: "new", name: freshName(), key: crypto.randomUUID() });
  if (answer) await openDocument(answer.document);
}

function freshName() {
  const names = new Set(listed.map((each) => each.name));
  for (let number = 1; ; number += 1) {
    if (!names.has(`Untitled ${number}`)) return `Untitled ${number}`;
  }
}

async function save() {
  if (!(await act({ cmd: "save", document: open.id }))) return;
  say("Saved");
  await list();
}

function confirmDelete(id, name) {
  notify(`Delete “${name}”? This cannot be undone.`, [
    [
      "Delete",
      async () => {
        if ((await act({ cmd: "delete", document: id })) && open?.id === id) setOpen(null);
        await list();
      },
    ],
    ["Keep", () => {}],
  ]);
}

function setOpen(answer) {
  open = answer && { ...answer.document, unsaved: answer.unsaved };
  edits = Math.max(edits, answer?.applied ?? 0); // the answer may be older than an edit under way
  byId("page-title").textContent = open?.name ?? "No document is open";
  byId("empty").hidden = open !== null;
  if (open === null) {
    texts = new Map();
    view.show(null);
  } else {
    page = Math.min(page, open.pages.length);
  }
  showTools();
}

// The page

/** Show the page as the engine has it now; calls that come meanwhile end in one more render. */
async function render() {
  if (open === null || !connection.online) return;
  if (rendering !== null) {
    rendering = "again";
    return;
  }
  do {
    rendering = "now";
    const wanted = [open?.id, page];
    const opened = await ask({ cmd: "open", document: open.id, client });
    if (open === null) break;
    if (opened?.success && opened.document.id === open.id) setOpen(opened);
    const drawn = await ask({ cmd: "render", document: open.id, page: open.pages[page - 1].id });
    if (open === null) break;
    if (wanted[0] !== open.id || wanted[1] !== page) rendering = "again";
    else if (drawn?.success) {
      const written = open.pages[page - 1].objects.filter((each) => each.kind === "text");
      texts = new Map(written.map((each) => [each.id, each.text]));
      view.show(drawn);
      showObjects();
      if (!drawn.complete) say("This page has more than the engine draws");
    }
  } while (rendering === "again" && connection.online);
  rendering = null;
}

/** Have one change done, and say it in words; returns the answer, or null if it was not. */
async function edit(change, words) {
  edits += 1;
  const number = edits;
  const answer = await act({ cmd: "apply", document: open.id, client, edit: number, changes: [change] }, (refusal) => {
    if (refusal.applied < number) edits = refusal.applied; // one before was lost
  });
  view.settle(change.id); // where it was dragged to is what is done now, or refused
  if (answer) say(words);
  await render();
  return answer;
}

async function move(id, x, y) {
  await edit({ op: "set", id, set: { x, y } }, `${id} moved to ${x}, ${y}`);
}

async function remove(id) {
  await edit({ op: "remove", id }, `${id} removed`);
}

async function add(object) {
  // New objects step down the page, so that none hides the one before.
  const step = (view.boxes.length % 12) * 24;
  const id = `${object.kind[0]}${crypto.randomUUID().slice(0, 8)}`;
  const on = open.pages[page - 1].id;
  const answer = await edit(
    { op: "insert", page: on, object: { id, x: 60 + step, y: 80 + step, ...object } },
    `${object.kind} added`,
  );
  if (!answer) return;
  view.select(id);
  showSelection(id);
}

function showObjects() {
  const options = view.boxes.map(({ id, kind }) => {
    const text = texts.get(id)?.split("\n")[0].slice(0, 40);
    return new Option(text ? `${id} · ${text}` : `${id} · ${kind}`, id);
  });
  byId("object").replaceChildren(new Option(options.length ? "none" : "no objects", ""), ...options);
  showSelection(view.selected);
}

function showSelection(id) {
  const field = byId("object-text");
  byId("object").value = id ?? "";
  const text = id === null ? undefined : texts.get(id);
  field.value = text?.replaceAll("\n", "⏎") ?? "";
  field.disabled = text === undefined || !connection.online;
  byId("remove").disabled = id === null || !connection.online;
  const pages = open?.pages.length ?? 1;
  const chosen = id === null ? "" : `, ${id} chosen`;
  byId("canvas").setAttribute("aria-label", `Page ${page} of ${pages}${chosen}`);
}

function showTools() {
  const usable = open !== null && connection.online;
  byId("save").disabled = !usable || !open.unsaved;
  byId("new").disabled = !connection.online;
  for (const id of ["add-text", "add-rectangle", "object"]) byId(id).disabled = !usable;
  byId("unsaved").hidden = !open?.unsaved;
  const pages = open?.pages.length ?? 1;
  byId("pager").hidden = pages < 2;
  byId("page-number").textContent = `Page ${page} of ${pages}`;
  byId("previous").disabled = !usable || page <= 1;
  byId("next").disabled = !usable || page >= pages;
  showSelection(view.selected);
}

async function turn(by) {
  page = Math.min(Math.max(1, page + by), open.pages.length);
  view.select(null);
  showTools();
  await render();
}

// Words to the person

/** Show a line with choices; the first mention of a new one replaces the old. */
function notify(text, choices = [["Close", () => {}]]) {
  byId("notice-text").textContent = text;
  byId("notice-actions").replaceChildren(
    ...choices.map(([label, choose]) =>
      button(label, () => {
        byId("notice").hidden = true;
        choose();
      }),
    ),
  );
  byId("notice").hidden = false;
}

function say(text) {
  byId("spoken").textContent = text;
}

function button(text, onClick, { label, className = "" } = {}) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.className = className;
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", onClick);
  return made;
}

// A message by hand

/** What was sent by hand may have changed anything: look again. */
async function sendByHand() {
  let body;
  try {
    body = JSON.parse(byId("message").value);
    if (body === null || typeof body !== "object" || Array.isArray(body)) throw new Error("a message is a JSON object");
    byId("message-error").textContent = "";
  } catch (error) {
    byId("message-error").textContent = `Not sent: ${error.message}`;
    return;
  }
  const answer = await ask(body);
  if (!answer?.success) return;
  if (body.cmd === "new") await openDocument(answer.document);
  else if (body.cmd === "open") await openDocument(body.document);
  else if (body.cmd === "delete" || body.cmd === "close") {
    if (open?.id === body.document) setOpen(null);
    await list();
  } else if (body.cmd === "apply" || body.cmd === "save") {
    await render();
    await list();
    showExample(); // with the number of the next edit
  }
}

byId("example").append(...EXAMPLES.map(([label], index) => new Option(label, String(index))));
byId("example").addEventListener("change", showExample);
function showExample() {
  const body = { ...EXAMPLES[Number(byId("example").value)][1] };
  if ("document" in body && open !== null) body.document = open.id;
  if ("edit" in body && open !== null) Object.assign(body, { client, edit: edits + 1 });
  byId("message").value = JSON.stringify(body, null, 2);
  byId("message-error").textContent = "";
}
showExample();

byId("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  sendByHand();
});
byId("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (connection.online) sendByHand();
  }
});
byId("clear").addEventListener("click", () => log.clear());
byId("toggle").addEventListener("click", () => (state.name === "offline" ? connection.start() : connection.stop()));
byId("new").addEventListener("click", newDocument);
byId("save").addEventListener("click", save);
byId("add-text").addEventListener("click", () =>
  add({ kind: "text", text: "New text", size: 18, width: 240, height: 30 }),
);
byId("add-rectangle").addEventListener("click", () =>
  add({ kind: "rectangle", width: 140, height: 80, fill: "#dbe7ff", stroke: "#2f5fd0" }),
);
byId("remove").addEventListener("click", () => view.selected && remove(view.selected));
byId("previous").addEventListener("click", () => turn(-1));
byId("next").addEventListener("click", () => turn(1));
byId("object").addEventListener("change", (event) => view.select(event.target.value || null));
byId("object-text").addEventListener("change", (event) => {
  const text = event.target.value.replaceAll("⏎", "\n");
  if (view.selected) edit({ op: "set", id: view.selected, set: { text } }, `${view.selected} changed`);
});
byId("selection").addEventListener("submit", (event) => event.preventDefault());
addEventListener("online", () => connection.retryNow());
document.addEventListener("visibilitychange", () => document.hidden || connection.retryNow());

connection.start();

/**
 * The product page: its pictures, its cart, and the Web Editor, which `embed.js` puts into it.
 *
 * What a shop needs of this is `openEditor` and `getToken`; the rest is any shop's own.
 */
import { WORDS } from "./words.js";

const PRICES = { en: { currency: "USD", each: 2.4 }, ko: { currency: "KRW", each: 3200 } };

/** How long an editor may take to say that it is ready; a frame that is refused says nothing. */
const PATIENCE = 20_000;

const element = (id) => document.getElementById(id);
const EDITOR = document.body.dataset.editor;

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("ko") ? "ko" : "en");
let account = { customer: null, cart: [] };
let status = { state: "idle", words: {} };
/** What `OrionEditor.open` gave us, while an editor is open. */
let editor;
/** The design that this browser has worked on, to be opened again. */
let design = localStorage.getItem("design") ?? undefined;

const say = (word, fill = {}) => WORDS[language][word].replace(/\{(\w+)\}/g, (_, name) => fill[name] ?? "");

// The server

async function call(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

/** A token lets the editor connect once; it asks for another one whenever it has to come back. */
const getToken = async () => (await call("/orion-token")).token;

async function act(path, body) {
  account = await call(path, body);
  showAccount();
}

// The editor

function openEditor(where) {
  if (!window.OrionEditor) return show("absent");
  if (!account.customer) return show("signInFirst");
  editor?.close();
  element("editor").hidden = where.modal === true;
  show("opening");
  const opened = window.OrionEditor.open({
    url: EDITOR,
    ...where,
    document: design,
    lang: language,
    title: say("title"),
    getToken,
    onReady: (detail) => {
      remember(detail);
      show("ready");
      where.container?.scrollIntoView({ behavior: "smooth", block: "center" });
    },
    onSaved: (detail) => {
      remember(detail);
      show("saved");
    },
    onOrdered: (detail) => order(remember(detail)),
    onState: ({ phase, unsaved }) => {
      const { state } = status;
      if (phase === "waiting" || phase === "offline") show("away");
      // What was wrong while there was no network is not wrong any more.
      else if (phase === "online" && (state === "error" || state === "away")) show("ready");
      else if (unsaved && state === "saved") show("changed");
    },
    onError: (problem) => show("error", { problem: problem?.message ?? problem?.code ?? String(problem) }),
    onClose: () => {
      editor = undefined;
      element("editor").hidden = true;
      if (status.state !== "ordered") show("closed");
    },
  });
  editor = opened;
  setTimeout(() => editor === opened && status.state === "opening" && show("absent"), PATIENCE);
}

/** Keep which document the editor has open, so that it can be opened again. */
function remember(detail) {
  if (detail?.document !== undefined) {
    design = String(detail.document);
    localStorage.setItem("design", design);
  }
  return { design, title: String(detail?.name ?? "") };
}

async function order({ design, title }) {
  if (design === undefined) return show("error", { problem: "no document" });
  try {
    await act("/cart", { design, title, quantity: Number(element("quantity").value) });
    show("ordered");
    editor?.close();
  } catch (error) {
    show("error", { problem: error.message });
  }
}

// The page

function show(state, words = {}) {
  status = { state, words };
  element("status").dataset.state = state;
  element("status").textContent = say(state, words);
}

function showAccount() {
  const { customer, cart } = account;
  element("customer").textContent = customer ?? say("signedOut");
  element("sign").textContent = say(customer ? "signOut" : "signIn");
  element("cart-count").textContent = String(cart.length);
  element("cart-empty").hidden = cart.length > 0;
  element("cart").replaceChildren(
    ...cart.map(({ design, title, quantity }) => {
      const item = document.createElement("li");
      item.dataset.design = design;
      item.textContent = [say("title"), title || say("design", { design }), say("cards", { quantity })].join(" · ");
      return item;
    }),
  );
}

function showPrice() {
  const { currency, each } = PRICES[language];
  const money = new Intl.NumberFormat(language, { style: "currency", currency });
  element("price").textContent = money.format(each);
  element("total").textContent = money.format(each * Number(element("quantity").value));
}

function speak(next) {
  language = next in WORDS ? next : "en";
  localStorage.setItem("language", language);
  document.documentElement.lang = language;
  document.title = `${say("title")} - Paper & Petal`;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = say(each.dataset.text);
  for (const each of document.querySelectorAll("[data-aria-label]")) each.ariaLabel = say(each.dataset.ariaLabel);
  for (const each of Object.keys(WORDS)) element(`lang-${each}`).ariaPressed = String(each === language);
  showPrice();
  showAccount();
  show(status.state, status.words);
}

element("edit").onclick = () => openEditor({ modal: true });
element("edit-here").onclick = () => openEditor({ container: element("editor-frame") });
element("add").onclick = () => {
  if (!editor) return openEditor({ modal: true });
  show("ordering");
  editor.send("order");
};
element("close").onclick = () => editor?.close();
element("quantity").oninput = showPrice;
element("order").onsubmit = (event) => event.preventDefault();
element("sign").onclick = () => {
  editor?.close();
  return act(account.customer ? "/sign-out" : "/sign-in");
};
for (const each of Object.keys(WORDS)) element(`lang-${each}`).onclick = () => speak(each);
for (const thumbnail of document.querySelectorAll("[data-picture]")) {
  thumbnail.onclick = () => {
    element("picture").src = thumbnail.dataset.picture;
    for (const each of document.querySelectorAll("[data-picture]")) each.ariaPressed = String(each === thumbnail);
  };
}

speak(language);
account = await (await fetch("/account")).json();
showAccount();

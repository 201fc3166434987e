// @vitest-environment jsdom
import { readFileSync } from "node:fs";
import * as React from "react";
import { createRoot } from "react-dom/client";
import { transformWithOxc } from "vite";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import * as embed from "../src/embed/index.js";
import * as frame from "../src/frame.js";
import * as client from "../src/index.js";
import * as react from "../src/react.js";
import * as shim from "../src/shim.js";
import { ModelGateway } from "./modelgateway.js";

const README = readFileSync(`${import.meta.dirname}/../README.md`, "utf8");
const EXAMPLE = /<!-- run: (\w+) -->\n```(\w+)\n([\s\S]*?)```\n/g;
const examples = new Map(
  [...README.matchAll(EXAMPLE)].map(([, name, language, code]) => [
    name!,
    { language: language!, code: code! },
  ]),
);

let gateway: ModelGateway;
let logged: string[];
let modules: Record<string, object>;

beforeEach(() => {
  gateway = new ModelGateway(() => 0.05);
  logged = [];
  modules = {
    react: React,
    ws: { WebSocket: gateway.Socket },
    "@orion-bridge/client": client,
    "@orion-bridge/client/react": react,
    "@orion-bridge/client/shim": shim,
    "@orion-bridge/client/frame": frame,
  };
  vi.stubGlobal("WebSocket", gateway.Socket);
  vi.stubGlobal("fetch", async () => new Response("a-token"));
  vi.spyOn(console, "log").mockImplementation(
    (...words) => void logged.push(words.map(String).join(" ")),
  );
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  expect(gateway.errors).toEqual([]);
});

const soon = (holds: () => void) => vi.waitFor(holds, { timeout: 15_000 });

/** Run an example; return what it exports. */
async function run(name: string): Promise<Record<string, unknown>> {
  const { code } = examples.get(name)!;
  const jsx = { runtime: "classic" } as const;
  const plain = (await transformWithOxc(code, `${name}.jsx`, { jsx })).code;
  const body = plain
    .replace(/import \{(.*?)\} from "(.*?)";/g, "const {$1} = modules['$2'];")
    .replace(/export \{(.*?)\};/, "return {$1};")
    .replace(/export function (\w+)/, "exported.$1 = $1; function $1");
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  const exported = {};
  await new AsyncFunction("modules", "exported", "React", body)(modules, exported, React);
  return exported;
}

/** What the comments of an example say that it prints. */
const promised = (name: string): string[] =>
  [...examples.get(name)!.code.matchAll(/\/\/ → (.*)/g)].map(([, text]) => text!);

it("has its examples tested, all of them", () => {
  const blocks = README.match(/^```\w+$/gm)!;
  expect(examples.size).toBe(blocks.length);
  expect([...examples.keys()].sort()).toEqual(
    ["begin", "frame", "keep", "node", "outcomes", "react", "shim", "shop"].sort(),
  );
});

it.each(["begin", "outcomes", "node", "keep", "shim"])("%s", async (name) => {
  await run(name);
  await soon(() => expect(logged.toSorted()).toEqual(promised(name).toSorted()));
});

it("react", async () => {
  const { Preview } = (await run("react")) as { Preview: React.FC };
  const host = document.createElement("div");
  const root = createRoot(host);
  root.render(React.createElement(Preview));
  const button = () => host.querySelector("button");
  await soon(() => expect(button()?.disabled).toBe(false));
  button()!.click();
  await soon(() => expect(button()!.textContent).toBe('{"cmd":"render","page":1}'));
  root.unmount();
});

it("shop and frame", async () => {
  const page = new DOMParser().parseFromString(examples.get("shop")!.code, "text/html");
  const [library, script] = page.querySelectorAll("script");
  expect(library!.src).toMatch(/\/embed\.js$/);
  document.body.append(document.adoptNode(page.querySelector("#editor")!));
  const begin = new Function("OrionEditor", `${script!.textContent}; return editor;`);
  const editor: embed.OrionEditor = begin(embed.OrionEditor);

  // The frame's page has this same window here; what the shop's answers is brought to it by hand.
  const said = (data: object) => come(data, window_, "https://editor.example");
  const shop = { postMessage: said } as unknown as Window;
  vi.spyOn(window, "parent", "get").mockReturnValue(shop);
  const window_ = editor.iframe.contentWindow!;
  vi.spyOn(window_, "postMessage").mockImplementation(((data: object, _: string, ports: []) =>
    come(data, shop, "https://shop.example", ports)) as typeof window_.postMessage);
  await run("frame");
  editor.send("order");
  await soon(() => expect(logged).toEqual(["ordered [object Object]"]));
  expect(gateway.order).toEqual(['{"cmd":"order","document":"invoice"}']);
  editor.close();
});

function come(data: object, source: Window, origin: string, ports: [] = []): void {
  window.dispatchEvent(Object.assign(new Event("message"), { data, source, origin, ports }));
}

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { build, type InlineConfig, type Rolldown } from "vite";
import { describe, expect, it } from "vitest";
import { builds } from "../build.js";

/** Shops have pages in all encodings. */
const ASCII = /^[\n -~]*$/;

const at = (path: string) => new URL(path, import.meta.url).pathname;
const compressed = (code: string): number => gzipSync(code, { level: 9 }).length;

/** Return what a page that bundles this for itself gets of it, minified. */
async function bundled(path: string): Promise<string> {
  const bundle = await rolldown({ input: at(path), external: ["react"] });
  const { output } = await bundle.generate({ format: "es", minify: true });
  expect(output).toHaveLength(1);
  return output[0].code;
}

/** Return what is published by a build that has one file. */
async function built(name: "umd" | "embed"): Promise<string> {
  const { build: options, ...base } = builds[name] as InlineConfig;
  const result = await build({ ...base, build: { ...options, write: false } });
  const [{ output }] = result as [Rolldown.RolldownOutput];
  expect(output).toHaveLength(1);
  return output[0].code;
}

describe("sizes", () => {
  it("of the client: less than 6 kB", async () => {
    expect(compressed(await bundled("../src/index.ts"))).toBeLessThan(6000);
  });

  it("of its file for <script>: the same", async () => {
    const code = await built("umd");
    expect(compressed(code)).toBeLessThan(6000);
    expect(code).toMatch(ASCII);
    const page: { OrionBridge?: Record<string, unknown> } = {};
    new Function("globalThis", "self", code).call(page, page, page);
    expect(Object.keys(page.OrionBridge!).sort()).toEqual([
      "OrionClient",
      "OrionError",
      "connect",
    ]);
  });

  it("of the shop's script: less than 2 kB", async () => {
    const code = await built("embed");
    expect(compressed(code)).toBeLessThan(2000);
    expect(code).toMatch(ASCII);
    expect(new Function(`${code}; return OrionEditor;`)()).toMatchObject({
      open: expect.any(Function),
    });
  });
});

describe("the package", () => {
  it("has no dependencies", () => {
    const { dependencies, peerDependencies } = JSON.parse(
      readFileSync(at("../package.json"), "utf8"),
    );
    expect([dependencies, Object.keys(peerDependencies)]).toEqual([undefined, ["react"]]);
  });

  it("stores nothing, and sets no cookie", async () => {
    for (const path of ["index.ts", "shim.ts", "react.ts", "frame.ts", "embed/index.ts"]) {
      const code = await bundled(`../src/${path}`);
      expect(code, path).not.toMatch(/localStorage|sessionStorage|indexedDB|cookie/);
    }
  });

  it("sends nothing to any origin", async () => {
    for (const path of ["frame.ts", "embed/index.ts"]) {
      expect(await bundled(`../src/${path}`), path).not.toMatch(/["'`]\*["'`]/);
    }
  });

  it("has no host of any registry in the lock file", () => {
    const lock = readFileSync(at("../../package-lock.json"), "utf8");
    expect(lock).not.toMatch(/"resolved": "https?:/);
  });
});

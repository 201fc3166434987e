/** Builds what is published: ES modules that share their code, a UMD file, and the shop's script. */
import { minify } from "terser";
import { build } from "vite";

const at = (path) => new URL(path, import.meta.url).pathname;
const base = { root: at("."), configFile: false, logLevel: "warn" };
const output = { outDir: at("dist"), emptyOutDir: false, target: "es2022", minify: true };

/** A script's text is read in the encoding of the page that loads it, and shops have all of them. */
const ascii = {
  name: "ascii",
  generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      chunk.code = chunk.code?.replace(
        /[^\0-~]/g,
        (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
    }
  },
};

/** Finds fifty bytes more in what the bundler has minified, which gives private members short names. */
const again = {
  name: "again",
  async generateBundle(_options, bundle) {
    for (const chunk of Object.values(bundle)) {
      const { code } = await minify(chunk.code, { ecma: 2022, compress: { passes: 3 } });
      chunk.code = code;
    }
  },
};

/** Return the options of one build; `write: false` has it return what it would write. */
export const builds = {
  modules: {
    ...base,
    build: {
      ...output,
      emptyOutDir: true,
      minify: false,
      lib: {
        entry: {
          index: at("src/index.ts"),
          shim: at("src/shim.ts"),
          react: at("src/react.ts"),
          frame: at("src/frame.ts"),
          "embed-module": at("src/embed/index.ts"),
        },
        formats: ["es"],
      },
      rolldownOptions: { external: ["react"] },
    },
  },
  umd: {
    ...base,
    plugins: [again, ascii],
    build: {
      ...output,
      lib: {
        entry: at("src/index.ts"),
        formats: ["umd"],
        name: "OrionBridge",
        fileName: () => "orion-client.umd.cjs",
      },
      rolldownOptions: { output: { generatedCode: { symbols: false } } },
    },
  },
  embed: {
    ...base,
    plugins: [ascii],
    build: {
      ...output,
      lib: {
        entry: at("src/embed/global.ts"),
        formats: ["iife"],
        name: "OrionEditor",
        fileName: () => "embed.js",
      },
    },
  },
};

if (process.argv[1] === at("build.js")) {
  for (const each of Object.values(builds)) await build(each);
}

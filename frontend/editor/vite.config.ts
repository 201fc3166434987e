import { copyFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const OUT = fileURLToPath(new URL("../../orion_twisted/demo/pages", import.meta.url));

/** Shops name /embed.js in their own pages, so it keeps its name and comes from the client's build. */
function embedScript(): Plugin {
  return {
    name: "embed-script",
    apply: "build",
    async closeBundle() {
      const built = fileURLToPath(import.meta.resolve("@orion-bridge/client/embed.js"));
      await copyFile(built, `${OUT}/embed.js`);
    },
  };
}

export default defineConfig({
  plugins: [embedScript()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the page's policy has no room for data: scripts or styles
    modulePreload: { polyfill: false },
  },
  test: { environment: "jsdom", include: ["test/**/*.test.{ts,tsx}"] },
});

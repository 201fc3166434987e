import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    restoreMocks: true,
    testTimeout: 20_000,
    pool: "threads",
    maxWorkers: 2,
  },
});

import { defineConfig } from "@playwright/test";

// scripts/pictures.sh runs this; the tests' own configuration does not find it.
export default defineConfig({
  testDir: ".",
  testMatch: "pictures.spec.ts",
  outputDir: "../test-results/pictures",
  timeout: 180_000,
  expect: { timeout: 60_000 },
  workers: 1,
  retries: 0,
  reporter: "line",
});

import { defineConfig } from "@playwright/test";

// The browser is Debian's; nothing is downloaded.
export default defineConfig({
  testDir: "e2e/browser",
  outputDir: "test-results/browser",
  timeout: 120_000,
  expect: { timeout: 20_000 },
  workers: 1,
  forbidOnly: !!process.env.CI,
  retries: 0,
  reporter: "list",
});

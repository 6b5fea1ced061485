import { defineConfig } from "@playwright/test";

// The browser is Debian's; nothing is downloaded.
export default defineConfig({
  testDir: "e2e/browser",
  outputDir: "test-results/browser",
  timeout: 300_000,
  expect: { timeout: 60_000 },
  workers: 2, // one waits for a certificate to be renewed most of its time
  forbidOnly: !!process.env.CI,
  retries: 0,
  reporter: "list",
});

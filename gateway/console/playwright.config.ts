import { defineConfig } from "@playwright/test";

// Runs against a gateway that stands with the demonstration city loaded; the journeys change its data, so one at a time.
export default defineConfig({
  testDir: "e2e",
  projects: [
    { name: "settle", testMatch: "settle.ts" },
    { name: "journeys", dependencies: ["settle"] },
  ],
  workers: 1,
  fullyParallel: false,
  // A browser that stops drawing ends a journey; one that passes then is reported as flaky.
  retries: 1,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  reporter: [["list"]],
  use: {
    baseURL: process.env.CIVICMESH_URL ?? "http://127.0.0.1:8080",
    locale: "vi-VN",
    timezoneId: "Asia/Ho_Chi_Minh",
    actionTimeout: 30_000,
    viewport: { width: 1440, height: 900 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        // Without a graphics card drawing goes through one process less.
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});

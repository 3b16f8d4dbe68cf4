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
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"]],
  use: {
    baseURL: process.env.CIVICMESH_URL ?? "http://127.0.0.1:8080",
    locale: "vi-VN",
    timezoneId: "Asia/Ho_Chi_Minh",
    viewport: { width: 1440, height: 900 },
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});

import { fileURLToPath } from "node:url";
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";
import { serviceWorker } from "./scripts/worker.ts";

const page = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const gateway = process.env.CIVICMESH_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [svelte(), serviceWorker()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: true,
    rolldownOptions: { input: { index: page("index.html"), portal: page("portal.html") } },
  },
  server: {
    proxy: Object.fromEntries(["/civicmesh.", "/v1/", "/auth/", "/oauth2/"].map((path) => [path, gateway])),
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});

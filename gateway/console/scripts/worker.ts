// Emits sw.js: the console starts without a connection. Calls to the gateway pass it by.

import type { Plugin } from "vite";

/** Runs in the browser; turned into text, so it may use nothing from around it but its parameters. */
function worker(version: string, files: string[]) {
  const scope = self as unknown as {
    addEventListener(type: string, listen: (event: WorkerEvent) => void): void;
    location: Location;
  };
  interface WorkerEvent {
    request: Request;
    waitUntil(work: Promise<unknown>): void;
    respondWith(answer: Promise<Response>): void;
  }
  scope.addEventListener("install", (event) => {
    event.waitUntil(caches.open(version).then((cache) => cache.addAll(files)));
  });
  scope.addEventListener("activate", (event) => {
    event.waitUntil(
      caches
        .keys()
        .then((names) => names.filter((name) => name.startsWith("shell-") && name !== version))
        .then((old) => Promise.all(old.map((name) => caches.delete(name)))),
    );
  });
  scope.addEventListener("fetch", (event) => {
    const { request } = event;
    const { pathname, origin } = new URL(request.url);
    if (request.method !== "GET" || origin !== scope.location.origin) return;
    if (request.mode === "navigate") {
      if (/^\/(auth|oauth2|v1)\//.test(pathname)) return;
      const shell = /^\/portal(\.html)?/.test(pathname) ? "/portal.html" : "/";
      event.respondWith(
        fetch(request).catch(async (error) => {
          const kept = await caches.match(shell, { ignoreVary: true });
          if (!kept) throw error;
          return kept;
        }),
      );
    } else if (files.includes(pathname)) {
      event.respondWith(caches.match(pathname, { ignoreVary: true }).then((kept) => kept ?? fetch(request)));
    }
  });
}

export function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_, bundle) {
        const assets = Object.keys(bundle)
          .filter((name) => name.startsWith("assets/") && /\.(js|css|woff2)$/.test(name))
          .map((name) => `/${name}`)
          .sort();
        const files = ["/", "/portal.html", "/icon.svg", "/geo/units-2025-07.topojson", ...assets];
        // Names of assets change with what is in them, so their list tells versions apart.
        let hash = 5381;
        for (const sign of files.join()) hash = (hash * 33 + (sign.codePointAt(0) ?? 0)) >>> 0;
        const source = `(${worker.toString()})("shell-${hash.toString(36)}", ${JSON.stringify(files)});\n`;
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
    },
  };
}

// Matching of paths to screens; the browser side is in router.svelte.ts.

import type { Component } from "svelte";

export interface Route {
  pattern: string;
  load: () => Promise<{ default: Component }>;
}

export interface Match {
  route: Route;
  params: Record<string, string>;
}

/** "/indicators/:id" matches "/indicators/abc" with { id: "abc" }. */
export function match(routes: readonly Route[], path: string): Match | undefined {
  const parts = split(path);
  for (const route of routes) {
    const wanted = split(route.pattern);
    if (wanted.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = wanted.every((part, i) => {
      const given = parts[i] ?? "";
      if (!part.startsWith(":")) return part === given;
      params[part.slice(1)] = given;
      return true;
    });
    if (fits) return { route, params };
  }
  return undefined;
}

/** The query with some keys changed; empty values leave it. */
export function withQuery(query: URLSearchParams, changes: Record<string, string | undefined>): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(changes)) {
    if (value) next.set(key, value);
    else next.delete(key);
  }
  return next;
}

function split(path: string): string[] {
  return path.split("/").filter(Boolean).map(decodeURIComponent);
}

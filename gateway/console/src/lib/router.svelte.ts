// The router: History API, one lazy chunk per screen, state in the query string.

import type { Component } from "svelte";
import { type Match, match, type Route, withQuery } from "./router";

const routes: readonly Route[] = [
  { pattern: "/", load: () => import("../screens/Board.svelte") },
  { pattern: "/indicators", load: () => import("../screens/Indicators.svelte") },
  { pattern: "/indicators/:id", load: () => import("../screens/Indicator.svelte") },
  { pattern: "/accuracy", load: () => import("../screens/Accuracy.svelte") },
  { pattern: "/explanations", load: () => import("../screens/Explanations.svelte") },
  { pattern: "/explanations/:id", load: () => import("../screens/Explanation.svelte") },
  { pattern: "/feedback", load: () => import("../screens/FeedbackList.svelte") },
  { pattern: "/feedback/:id", load: () => import("../screens/FeedbackItem.svelte") },
  { pattern: "/reporting", load: () => import("../screens/Reporting.svelte") },
  { pattern: "/reminders", load: () => import("../screens/Reminders.svelte") },
  { pattern: "/units/:id", load: () => import("../screens/UnitCard.svelte") },
];

const missing: Route = { pattern: "*", load: () => import("../screens/Missing.svelte") };

class Router {
  path = $state("");
  query = $state.raw(new URLSearchParams());
  params = $state.raw<Record<string, string>>({});
  screen = $state.raw<Component>();
  /** Counts navigations, so that the shell can move the focus. */
  visits = $state(0);
  failed = $state(false);
  #turn = 0;

  start(): void {
    addEventListener("popstate", () => void this.#show());
    document.addEventListener("click", (event) => this.#click(event));
    const warm = (event: Event) => this.#warm(event.target);
    document.addEventListener("pointerover", warm, { passive: true });
    document.addEventListener("focusin", warm);
    void this.#show();
  }

  go(target: string): void {
    if (target !== location.pathname + location.search) history.pushState(null, "", target);
    void this.#show();
  }

  /** Goes on to the address that another one stands for. */
  redirect(target: string): void {
    history.replaceState(null, "", target);
    void this.#show();
  }

  /** Changes filters and the like without a new history entry and without moving focus. */
  setQuery(changes: Record<string, string | undefined>): void {
    this.query = withQuery(this.query, changes);
    const text = this.query.toString();
    history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
  }

  #find(path: string): Match {
    return match(routes, path) ?? { route: missing, params: {} };
  }

  async #show(): Promise<void> {
    const turn = ++this.#turn;
    const { route, params } = this.#find(location.pathname);
    try {
      const { default: screen } = await route.load();
      if (turn !== this.#turn) return;
      this.failed = false;
      const moved = this.path !== "" && this.path !== location.pathname;
      this.query = new URLSearchParams(location.search);
      this.params = params;
      this.path = location.pathname;
      this.screen = screen;
      if (moved) this.visits += 1;
    } catch {
      if (turn === this.#turn) this.failed = true;
    }
  }

  #link(target: EventTarget | null): HTMLAnchorElement | undefined {
    const link = target instanceof Element ? target.closest("a") : null;
    if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return undefined;
    if (/^\/(auth|v1|oauth2|portal\.html)/.test(link.pathname) || link.getAttribute("href")?.startsWith("#"))
      return undefined;
    return link;
  }

  #warm(target: EventTarget | null): void {
    const link = this.#link(target);
    if (link)
      void this.#find(link.pathname)
        .route.load()
        .catch(() => undefined);
  }

  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = this.#link(event.target);
    if (!link) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const router = new Router();

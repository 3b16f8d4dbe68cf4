// What the journeys share: people of the demonstration city, signed in, each in a browser context of their own.

import { type Browser, test as base, expect, type Locator, type Page } from "@playwright/test";

export { expect };

const PASSWORD = process.env.CIVICMESH_PASSWORD ?? "civicmesh-demo-2026";
export const BASE = process.env.CIVICMESH_URL ?? "http://127.0.0.1:8080";

type Options = Parameters<Browser["newContext"]>[0];

/** Opens a page that fails the test on errors in the console and on violations of the content security policy. */
export async function watched(browser: Browser, options: Options = {}): Promise<Page> {
  const context = await browser.newContext(options);
  await context.addInitScript(() => {
    // Accounts have a language of their own; the journeys read Vietnamese until one chooses otherwise.
    if (!localStorage.getItem("civicmesh.language")) localStorage.setItem("civicmesh.language", "vi");
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() !== "error" || expected.some((pattern) => pattern.test(message.text()))) return;
    problems.push(`${page.url()}: ${message.text()}`);
  });
  return page;
}

let problems: string[] = [];
let expected: RegExp[] = [];

/** Browsers report refused requests themselves; a journey that means to be refused says so. */
export function expectErrors(pattern: RegExp): void {
  expected.push(pattern);
}

export const test = base;
test.beforeEach(() => {
  problems = [];
  // Before sign-in the profile is refused.
  expected = [/\b401\b/];
});
test.afterEach(() => {
  expect(problems, "errors in the browser").toEqual([]);
});

/** Signs a person in through the city's own sign-in page. */
export async function signIn(browser: Browser, login: string, path = "/", options: Options = {}): Promise<Page> {
  const page = await watched(browser, options);
  await page.goto(`/auth/sign-in?return_to=${encodeURIComponent(path)}`);
  await fillSignIn(page, login);
  return page;
}

export async function fillSignIn(page: Page, login: string): Promise<void> {
  await page.locator('input[name="login"]').fill(login);
  await page.locator('input[name="password"]').fill(PASSWORD);
  await page.locator('button[type="submit"]').click();
  await expect(page.locator("main h1")).toBeVisible();
}

export async function isLive(page: Page): Promise<void> {
  await expect(page.locator('[data-live="live"]')).toBeVisible();
}

/** Reads a method that the gateway also serves as JSON, as the person of this page. */
export function read<T>(page: Page, path: string): Promise<T> {
  return page.evaluate(async (path) => (await fetch(path)).json(), path) as Promise<T>;
}

/** A calendar date so many days from now, as date inputs want it. */
export function inDays(days: number): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Ho_Chi_Minh" }).format(Date.now() + days * 86_400_000);
}

/** A line of the board that nobody asked about yet. */
export function askable(page: Page, lines = "[data-risk]"): Locator {
  return page
    .locator(lines)
    .filter({ has: page.locator(".act button") })
    .first();
}

/** A one-pixel PNG. */
export const photo = {
  name: "photo.png",
  mimeType: "image/png",
  buffer: Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "base64",
  ),
};

export const paper = {
  name: "minh-chung.pdf",
  mimeType: "application/pdf",
  buffer: Buffer.from("%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"),
};

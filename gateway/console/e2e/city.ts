// What the journeys share: people of the demonstration city, signed in, each in a browser context of their own.

import { type Browser, test as base, expect, type Page } from "@playwright/test";

export { expect };

const PASSWORD = process.env.CIVICMESH_PASSWORD ?? "civicmesh-demo-2026";

/** Opens a page that fails the test on errors in the console and on violations of the content security policy. */
export async function watched(browser: Browser, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
  const context = await browser.newContext(options);
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    // Before sign-in the profile is refused, and the browser reports every such answer itself.
    // One journey cuts the live stream on purpose.
    const cut = message.location().url.includes("LiveService");
    if (message.type() === "error" && !cut && !/\b401\b/.test(message.text())) problems.push(message.text());
  });
  return page;
}

let problems: string[] = [];

export const test = base;
test.beforeEach(() => {
  problems = [];
});
test.afterEach(() => {
  expect(problems, "errors in the browser").toEqual([]);
});

/** Signs a person in through the city's own sign-in page. */
export async function signIn(
  browser: Browser,
  login: string,
  path = "/",
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<Page> {
  const page = await watched(browser, options);
  await page.goto(`/auth/sign-in?return_to=${encodeURIComponent(path)}`);
  await page.locator('input[name="login"]').fill(login);
  await page.locator('input[name="password"]').fill(PASSWORD);
  await page.locator('button[type="submit"]').click();
  await expect(page.locator("main h1")).toBeVisible();
  return page;
}

export async function isLive(page: Page): Promise<void> {
  await expect(page.locator('[data-live="live"]')).toBeVisible();
}

/** A calendar date so many days from now, as date inputs want it. */
export function inDays(days: number): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Ho_Chi_Minh" }).format(Date.now() + days * 86_400_000);
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

import { askable, BASE, expect, expectErrors, isLive, signIn, test } from "./city";
import { Tap } from "./tap";

test("a gateway that goes away and comes back: stale, then live, and up to date without reload", async ({
  browser,
}) => {
  expectErrors(/ERR_(CONNECTION|INCOMPLETE|EMPTY|SOCKET)|Failed to fetch/);
  const tap = new Tap(new URL(BASE));
  await tap.mend();
  try {
    const page = await signIn(browser, "chairman", "/reminders");
    await page.goto(`${tap.url}/`);
    await isLive(page);
    await page.evaluate(() => Object.assign(window, { untouched: true }));
    await expect(page.locator("[data-risk]").first()).toBeVisible();
    const figures = await page.locator("[data-risk]").count();

    await tap.cut();
    await expect(page.locator('[data-live="stale"]')).toBeVisible();
    await expect(page.locator("[data-risk]")).toHaveCount(figures);

    // Meanwhile somebody else asks.
    const other = await signIn(browser, "vicechair", "/");
    const line = askable(other);
    const code = await line.getAttribute("data-risk");
    await line.locator(".act button").click();
    await other.locator("[data-send]").click();
    await expect(other.locator(`[data-risk="${code}"] a.request`)).toBeVisible();

    await tap.mend();
    await expect(page.locator('[data-live="live"]')).toBeVisible({ timeout: 30_000 });
    await expect(page.locator(`[data-risk="${code}"] a.request`)).toBeVisible();
    expect(await page.evaluate(() => "untouched" in window), "without reload").toBe(true);
    await other.locator(".toast button").first().click();
    await expect(page.locator(`[data-risk="${code}"] .act button`)).toBeVisible();
  } finally {
    await tap.cut();
  }
});

test("lines keep their order while a dialog is open, whatever arrives", async ({ browser }) => {
  const page = await signIn(browser, "vicechair", "/");
  await isLive(page);
  const order = () =>
    page.locator("[data-risk]").evaluateAll((lines) => lines.map((line) => line.getAttribute("data-risk")));
  await expect(askable(page)).toBeVisible();
  const before = await order();
  const mine = askable(page).locator(".act button");
  await mine.focus();
  await page.keyboard.press("Enter");
  await expect(page.locator("[data-send]")).toBeFocused();

  // Another leader asks about a line: it will sink below those nobody asked about.
  const other = await signIn(browser, "chairman", "/");
  const line = askable(other, `[data-risk="${before.at(1)}"]`);
  await line.locator(".act button").click();
  await other.locator("[data-send]").click();
  await expect(page.locator(`[data-risk="${before.at(1)}"] a.request`)).toBeAttached();
  expect(await order()).toEqual(before);

  await page.keyboard.press("Escape");
  await expect(page.locator("dialog[open]")).toHaveCount(0);
  // The focus is still in the list, so the order waits for a word.
  await page.locator("button.resort").click();
  await expect.poll(order).not.toEqual(before);
  await other.locator(".toast button").first().click();
  await expect(page.locator(`[data-risk="${before.at(1)}"] .act button`)).toBeAttached();
});

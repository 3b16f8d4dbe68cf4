import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, isLive, signIn, test, watched } from "./city";

const paths = ["/", "/indicators", "/explanations", "/feedback", "/feedback?map=heat", "/reminders"];
const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

async function settle(page: Page) {
  await expect(page.locator("main h1")).toBeVisible();
  await page.waitForLoadState("load");
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`every page is accessible (${colorScheme})`, async ({ browser }) => {
    test.setTimeout(180_000);
    const page = await signIn(browser, "chairman", "/", { colorScheme });
    await isLive(page);
    const visits = [...paths];
    for (const pattern of [".what a", "[data-explanation] a", "[data-feedback] a"]) {
      await page.goto(
        pattern === ".what a" ? "/" : pattern.includes("explanation") ? "/explanations?show=all" : "/feedback",
      );
      const link = page.locator(pattern).first();
      if (
        await link.waitFor({ timeout: 5_000 }).then(
          () => true,
          () => false,
        )
      )
        visits.push((await link.getAttribute("href")) ?? "/");
    }
    for (const path of visits) {
      await page.goto(path);
      await settle(page);
      const { violations } = await new AxeBuilder({ page }).withTags(rules).analyze();
      expect.soft(violations.map((one) => `${path} ${one.id}: ${one.nodes[0]?.html}`)).toEqual([]);
    }
    const portal = await watched(browser, { colorScheme });
    await portal.goto("/portal.html");
    await expect(portal.locator('[data-map="ready"]')).toBeVisible();
    const { violations } = await new AxeBuilder({ page: portal }).withTags(rules).analyze();
    expect.soft(violations.map((one) => `portal ${one.id}: ${one.nodes[0]?.html}`)).toEqual([]);
  });
}

for (const width of [390, 320]) {
  test(`nothing scrolls sideways at ${width} px`, async ({ browser }) => {
    const page = await signIn(browser, "chairman", "/", { viewport: { width, height: 780 } });
    for (const path of [...paths, "/portal.html"]) {
      await page.goto(path);
      await settle(page);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect.soft(over, path).toBeLessThanOrEqual(0);
    }
  });
}

test("the first ask button needs no scrolling on a phone", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/", { viewport: { width: 360, height: 740 }, hasTouch: true });
  const box = await page.locator(".act button").first().boundingBox();
  const bar = await page.locator("nav").boundingBox();
  expect((box?.y ?? 0) + (box?.height ?? 0)).toBeLessThanOrEqual(bar?.y ?? 0);
});

test("the board asks by keyboard alone and keeps the order while the dialog is open", async ({ browser }) => {
  const page = await signIn(browser, "vicechair", "/");
  await isLive(page);
  const button = page.locator(".act button").first();
  await button.focus();
  const order = await page
    .locator("[data-risk]")
    .evaluateAll((lines) => lines.map((line) => line.getAttribute("data-risk")));
  await page.keyboard.press("Enter");
  await expect(page.locator("[data-send]")).toBeFocused();
  expect(
    await page.locator("[data-risk]").evaluateAll((lines) => lines.map((line) => line.getAttribute("data-risk"))),
  ).toEqual(order);
  await page.keyboard.press("Escape");
  await expect(page.locator("dialog[open]")).toHaveCount(0);
});

test("changing the language keeps what the address says", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/feedback?time=3");
  await page.locator("button.account").click();
  await page.getByRole("button", { name: "English" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Feedback");
  expect(new URL(page.url()).search).toBe("?time=3");
  await page.locator("button.account").click();
  await page.getByRole("button", { name: "Tiếng Việt" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Phản ánh, kiến nghị");
});

test("the pill says when the connection is lost and when it is back", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  await page.route("**/civicmesh.gateway.v1.LiveService/**", (route) => route.abort());
  await page.reload();
  await expect(page.locator('[data-live="stale"]')).toBeVisible();
  // Figures stay readable meanwhile.
  await expect(page.locator("[data-risk]").first()).toBeVisible();
  await page.unroute("**/civicmesh.gateway.v1.LiveService/**");
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await isLive(page);
});

import { inflateSync } from "node:zlib";
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { askable, expect, expectErrors, isLive, read, signIn, test, watched } from "./city";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const COLOURS = { runOnly: ["color-contrast"] };
// The sixth line of a list is made of the same stuff as the first, and takes axe as long.
const REPEATED = ["main li:nth-child(n + 6)", "tr:nth-child(n + 6)", "option:nth-child(n + 4)", ".map path"];

async function settle(page: Page) {
  await expect(page.locator("h1").first()).toBeVisible();
  await expect(page.locator("main")).not.toContainText("Đang tải");
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}

/** Accessible in light and dark, and nothing scrolls sideways down to 320 px; errors and violations are watched. */
async function examine(page: Page, name: string) {
  await settle(page);
  const axe = () => REPEATED.reduce((builder, one) => builder.exclude(one), new AxeBuilder({ page }));
  const light = await axe().withTags(RULES).analyze();
  expect.soft(light.violations.map((one) => `${name} ${one.id}: ${one.nodes[0]?.html}`)).toEqual([]);
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await axe().options(COLOURS).analyze();
  expect.soft(dark.violations.map((one) => `${name}, dark: ${one.nodes[0]?.html}`)).toEqual([]);
  await page.emulateMedia({ colorScheme: "light" });
  const size = page.viewportSize();
  for (const width of [390, 320]) {
    await page.setViewportSize({ width, height: 780 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect.soft(over, `${name} at ${width} px`).toBeLessThanOrEqual(0);
  }
  if (size) await page.setViewportSize(size);
  await draws(page, name);
}

/** After a change of size headless Chromium may stop drawing, and a click would wait for frames for ever: wake it. */
async function draws(page: Page, name: string) {
  const frames = () =>
    page.evaluate(
      () =>
        new Promise<boolean>((resolve) => {
          requestAnimationFrame(() => requestAnimationFrame(() => resolve(true)));
          setTimeout(() => resolve(false), 2000);
        }),
    );
  await expect(async () => {
    if (await frames()) return;
    await page.bringToFront();
    const size = page.viewportSize();
    if (size) {
      await page.setViewportSize({ ...size, height: size.height + 1 });
      await page.setViewportSize(size);
    }
    expect(await frames(), `${name} is drawn`).toBe(true);
  }).toPass({ timeout: 20_000 });
}

async function href(page: Page, list: string, link: string): Promise<string> {
  await page.goto(list);
  const found = page.locator(link).first();
  await expect(found).toBeVisible();
  return (await found.getAttribute("href")) ?? "/";
}

test("every screen of a leader: accessible, within its width, no error, no violation", async ({ browser }) => {
  test.setTimeout(240_000);
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  await examine(page, "board");
  await askable(page).locator(".act button").click();
  await examine(page, "ask");
  await page.keyboard.press("Escape");
  const indicator = await href(page, "/", ".what a");
  const item = await href(page, "/feedback", "[data-feedback] a");
  for (const path of ["/indicators", indicator, "/explanations", "/feedback", "/feedback?map=heat", item]) {
    await page.goto(path);
    await examine(page, path);
  }
  const unit = await href(page, item, 'a[href^="/units/"]');
  for (const path of [unit, "/accuracy", "/reminders", "/nowhere"]) {
    await page.goto(path);
    await examine(page, path);
  }
});

test("the screens of those who report, and of everybody", async ({ browser }) => {
  const officer = await signIn(browser, "finance.officer", "/reporting");
  await examine(officer, "reporting");
  await officer.locator("[data-enter]").first().click();
  await examine(officer, "entry");
  const approver = await signIn(browser, "finance.approver", "/reporting");
  await examine(approver, "approval");
  const nobody = await watched(browser);
  await nobody.goto("/");
  await examine(nobody, "sign-in");
  await nobody.goto("/portal.html");
  await expect(nobody.locator('[data-map="ready"]')).toBeVisible();
  await examine(nobody, "portal");
  await nobody.locator('[data-tab="track"]').click();
  await examine(nobody, "track");
});

test("a leader goes through the city without a mouse", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  const lines = page.locator("[data-risk] .what a");
  const press = (keys: string) => page.keyboard.press(keys);
  await expect(lines.nth(1)).toBeVisible();
  await press("j");
  await expect(lines.nth(0)).toBeFocused();
  await press("j");
  await press("j");
  await press("k");
  await expect(lines.nth(1)).toBeFocused();
  const second = await page.locator("[data-risk]").nth(1).getAttribute("data-risk");
  await press("y");
  const ask = page.locator("dialog[open]");
  await expect(ask).toContainText(second ?? "");
  await press("j");
  await press("Escape");
  await expect(lines.nth(1)).toBeFocused();

  await press("g");
  await press("i");
  await expect(page).toHaveURL(/\/indicators$/);
  await expect(page.locator('main a[href^="/indicators/"]').first()).toBeVisible();
  await press("/");
  await page.keyboard.type("jgh");
  await expect(page.locator('input[type="search"]').first()).toHaveValue("jgh");
  await expect(page).toHaveURL(/q=jgh/);

  // Whoever speaks to the machine, or slips, switches them off.
  await page.locator("main h1").focus();
  await press("?");
  await examine(page, "keys");
  await page.locator("[data-keys] input").uncheck();
  await press("Escape");
  await press("g");
  await press("h");
  await expect(page).toHaveURL(/\/indicators/);
});

test("an indicator is found by its code, and what is not there is said so", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/indicators/HCM.03.01");
  await expect(page).toHaveURL(/\/indicators\/[0-9a-f-]{36}$/);
  await expect(page.locator("header")).toContainText(["HCM.03.01"]);
  const address = page.url();
  expectErrors(/\b404\b|\b400\b/);
  for (const missing of ["/indicators/NO.SUCH", `${address}?unit=abc`]) {
    await page.goto(missing);
    await expect(page.locator("main")).toContainText("Không có số liệu của chỉ tiêu này trong phạm vi của bạn.");
  }
});

test("a leader reads from the board how reliable the forecasts are", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  await page.locator('aside a[href="/accuracy"]').click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Độ tin cậy của dự báo");
  await expect(page.locator("[data-takeaway]")).not.toBeEmpty();
  await expect(page.locator("[data-reliability] svg, [data-empty]").first()).toBeVisible();
  const fields = page.locator("main select option");
  await expect(fields).not.toHaveCount(1);
  const field = (await fields.nth(1).getAttribute("value")) ?? "";
  await page.locator("main select").selectOption(field);
  expect(new URL(page.url()).searchParams.get("field")).toBe(field);
  await expect(page.locator("[data-takeaway]")).not.toBeEmpty();

  await page.goto(await href(page, "/", ".what a"));
  await page.locator('a[href^="/accuracy?indicator="]').click();
  await expect(page.locator('main header a[href^="/indicators/"]')).not.toHaveText("…");
  await expect(page.locator("[data-takeaway]")).not.toBeEmpty();
});

interface Risk {
  indicator: { id: string; yearRule: string; maximum?: string };
  unitId: string;
  assessment?: {
    probability?: number;
    remainingPeriods: number;
    target: { comparator: string; value: string };
  };
}

test("a leader supposes a figure and reads what becomes of the probability", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  // A sum that must reach its plan: the largest figure that is taken for one brings it nearer.
  const { items } = await read<{ items: Risk[] }>(page, "/v1/risk-items?pageSize=500");
  const item = items.find(
    ({ indicator, assessment }) =>
      indicator.yearRule === "YEAR_RULE_SUM" &&
      assessment?.target.comparator === "COMPARATOR_AT_LEAST" &&
      assessment.remainingPeriods > 0 &&
      (assessment.probability ?? 1) < 0.9,
  );
  if (!item?.assessment) throw new Error("no plan of a sum is open");
  await page.goto(`/indicators/${item.indicator.id}?unit=${item.unitId}`);
  const card = page.locator("[data-scenario]");
  const first = card.locator("input").first();
  const after = card.locator('[data-chance="after"]');
  await expect(first).not.toHaveValue("");
  const forecast = await first.inputValue();
  await first.fill("nhiều");
  await expect(first).toHaveAttribute("aria-invalid", "true");
  await expect(card.locator(".error")).not.toBeEmpty();
  await expect(after).toHaveCount(0);

  const { maximum } = item.indicator;
  if (maximum) {
    await first.fill(`${Number(maximum) + 1}`.replace(".", ","));
    await expect(card).toContainText(/Phải từ|Không được quá/);
    await expect(after).toHaveCount(0);
  }
  await first.fill((maximum || `${Math.ceil(Number(item.assessment.target.value) * 10)}`).replace(".", ","));
  await expect(after).toBeVisible();
  const before = (await card.locator('[data-chance="before"]').textContent()) ?? "";
  expect(before).toMatch(/%/);
  await expect(after).not.toHaveText(before);
  await card.locator("[data-reset]").click();
  await expect(first).toHaveValue(forecast);
  await expect(after).toHaveCount(0);
  await card.locator('[data-path="low"]').click();
  await expect(after).toBeVisible();
  await examine(page, "scenario");
});

test("a leader supposes what a year may end at", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  const { id } = await read<{ id: string }>(page, "/v1/indicators/HCM.01.02");
  await page.goto(`/indicators/${id}`);
  const card = page.locator("[data-scenario]");
  const year = card.locator(".steps input");
  await expect(year).toHaveCount(1);
  await expect(year).toHaveValue("");
  // Nothing is forecast that could be filled in or moved.
  await expect(card.locator("[data-path], [data-move]")).toHaveCount(0);
  const after = card.locator('[data-chance="after"]');
  await year.fill("99,7");
  await expect(after).toHaveText("đạt kế hoạch");
  await year.fill("98");
  await expect(after).toHaveText("không đạt kế hoạch");
  await examine(page, "year");
});

test("a leader sees what each ward contributes, moves one and keeps the scenario", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  const { items } = await read<{ items: (Risk & { indicator: { code: string } })[] }>(
    page,
    "/v1/risk-items?pageSize=500&cityLevelOnly=true",
  );
  const item = items.find(({ indicator }) => indicator.code === "HCM.03.03");
  if (!item) throw new Error("HCM.03.03 is not on the board");
  await page.goto(`/indicators/${item.indicator.id}?unit=${item.unitId}`);
  const rows = page.locator("[data-units] tbody tr");
  await expect(rows).toHaveCount(168);
  await expect(page.locator("[data-courses] tbody tr")).toHaveCount(5);

  const card = page.locator("[data-scenario]");
  const after = card.locator('[data-chance="after"]');
  await card.locator("[data-move]").click();
  await card.locator(".percent input").fill("2000");
  await expect(card.locator(".percent .error")).not.toBeEmpty();
  await card.locator(".percent input").fill("-50");
  await expect(after).toBeVisible();
  await card.locator('input[name="scenario-name"]').fill("Phường giảm một nửa");
  await card.locator("[data-keep]").click();
  const kept = card.locator("[data-kept] tbody tr", { hasText: "Phường giảm một nửa" });
  await expect(kept).toContainText("%");
  await expect(kept).toContainText("của bạn");
  await examine(page, "outlook");

  await page.reload();
  await kept.getByRole("button", { name: "Mở lại" }).click();
  await expect(card.locator(".percent input")).toHaveValue("-50");
  await expect(card.locator("[data-keep]")).toHaveText("Lưu đè kịch bản cùng tên");
  await kept.getByRole("button", { name: "Xóa" }).click();
  await expect(kept).toHaveCount(0);
  await page.getByRole("button", { name: "Khôi phục" }).click();
  await expect(kept).toHaveCount(1);
  await kept.getByRole("button", { name: "Xóa" }).click();
  await expect(kept).toHaveCount(0);
});

test("a leader sees what a ratio is calculated from and moves a part of it", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  const { id } = await read<{ id: string }>(page, "/v1/indicators/HCM.06.05");
  await page.goto(`/indicators/${id}`);
  await expect(page.locator("[data-formula]")).toHaveText("100 × HCM.06.02 ÷ HCM.06.01");
  await expect(page.locator("[data-drivers] tbody tr")).toHaveCount(2);
  const card = page.locator("[data-scenario]");
  // Only its parts can be supposed.
  await expect(card.locator(".steps input")).toHaveCount(0);
  await card.locator("[data-move]").click();
  await card.locator(".percent input").fill("-20");
  await expect(card.locator('[data-chance="after"]')).toContainText("< 1%");
  await examine(page, "calculated");
  await page.locator("[data-drivers] tbody a").first().click();
  await expect(page.locator("main h1")).toHaveText("Thu nội địa");
});

test("the board is filtered by sets, plans and what decides", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  const lines = page.locator("[data-risk]");
  await expect(lines).not.toHaveCount(0);
  const all = await lines.count();
  await page.locator("button.more").click();
  await page.locator(".further select").first().selectOption("GOV");
  await expect.poll(() => lines.count()).toBeLessThan(all);
  await page.locator(".further select").nth(1).selectOption({ label: "Chính phủ, Thủ tướng" });
  await page.locator(".further select").nth(2).selectOption({ index: 1 });
  await page.locator(".further .decisive").click();
  expect([...new URL(page.url()).searchParams.keys()].sort()).toEqual(["author", "decisive", "group", "period"]);
  await examine(page, "board filters");
  await page.reload();
  await expect(page.locator(".further .decisive")).toHaveAttribute("aria-pressed", "true");
});

test("a unit is found by its name, whatever marks", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  const picker = page.locator("[data-picker]");
  await picker.click();
  await examine(page, "picker");
  await page.locator(".panel input").fill("sai gon phuong");
  await page.keyboard.press("Enter");
  await expect(picker).toHaveText("Phường Sài Gòn");
  expect(new URL(page.url()).searchParams.get("unit")).not.toBeNull();
  await expect(page.locator("[data-risk]").first()).toContainText("Phường Sài Gòn");

  await page.locator(".what a", { hasText: "Số doanh nghiệp tạm ngừng" }).click();
  await expect(picker.first()).toHaveText("Phường Sài Gòn");
  await picker.first().click();
  await page.locator(".panel button", { hasText: "Thành phố Hồ Chí Minh" }).click();
  await expect(picker.first()).toHaveText("Thành phố Hồ Chí Minh");
});

test("the head of a ward finds the ward's lines on the board", async ({ browser }) => {
  const page = await signIn(browser, "saigon.head", "/");
  await isLive(page);
  await expect(page.locator("[data-risk]")).not.toHaveCount(0);
  // One unit is no choice.
  await expect(page.locator("[data-picker]")).toHaveCount(0);
  await page.goto("/accuracy");
  await expect(page.locator("[data-takeaway]:not([data-empty])")).toBeVisible();
});

test("a thread is accessible", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  const line = askable(leader);
  const code = await line.getAttribute("data-risk");
  await line.locator(".act button").click();
  await leader.locator("[data-send]").click();
  await leader.locator(`[data-risk="${code}"] a.request`).click();
  await expect(leader.locator("[data-evidence]")).toBeVisible();
  await examine(leader, "thread");
  leader.once("dialog", (dialog) => void dialog.accept());
  await leader.getByRole("button", { name: "Thu hồi" }).first().click();
  await expect(leader.locator('[data-state="6"]')).toBeVisible();
});

test("changing the language keeps what the address says", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/feedback?time=3");
  await settle(page);
  await page.locator("button.account").click();
  await page.getByRole("button", { name: "English" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Feedback");
  expect(new URL(page.url()).search).toBe("?time=3");
  const back = page.getByRole("button", { name: "Tiếng Việt" });
  if (!(await back.isVisible())) await page.locator("button.account").click();
  await back.click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Phản ánh, kiến nghị");
  expect(new URL(page.url()).search).toBe("?time=3");
});

test("the first printed page of the board holds its summary", async ({ browser }) => {
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  await expect(page.locator("[data-risk]").first()).toBeVisible();
  // A4 upright at 96 dots an inch, less the margins.
  await page.setViewportSize({ width: 718, height: 1_046 });
  await page.emulateMedia({ media: "print" });
  for (const part of [".today", ".strip", "[data-risk]"]) {
    const box = await page.locator(part).first().boundingBox();
    expect(box, part).not.toBeNull();
    expect((box?.y ?? 0) + (box?.height ?? 0), part).toBeLessThan(1_046);
  }
  await page.emulateMedia({ media: "screen" });
  const pdf = await page.pdf({ format: "A4", margin: { top: "10mm", bottom: "10mm", left: "10mm", right: "10mm" } });
  const pages = texts(pdf);
  expect(pages.length).toBeGreaterThan(1);
  // Signs shown on the first page: a page left blank by something too tall has hardly any.
  expect(pages[0]).toBeGreaterThan(600);
});

/** How many signs each page of a PDF shows: its content streams write them in hexadecimal digits. */
function texts(pdf: Buffer): number[] {
  const counts: number[] = [];
  const source = pdf.toString("latin1");
  for (const match of source.matchAll(/stream\r?\n/g)) {
    const start = match.index + match[0].length;
    const end = source.indexOf("endstream", start);
    try {
      const content = inflateSync(pdf.subarray(start, end)).toString("latin1");
      if (!/\bTf\b/.test(content)) continue;
      const signs = [...content.matchAll(/<([0-9A-Fa-f]+)>/g)].reduce((sum, one) => sum + (one[1]?.length ?? 0) / 2, 0);
      counts.push(signs);
    } catch {
      // Not compressed, so no page.
    }
  }
  return counts;
}

test("without a connection the console starts with what it last knew", async ({ browser }) => {
  expectErrors(/ERR_INTERNET_DISCONNECTED|Failed to fetch/);
  const page = await signIn(browser, "chairman", "/");
  await isLive(page);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  const first = await page.locator("[data-risk]").first().getAttribute("data-risk");
  for (const path of ["/indicators", "/explanations", "/feedback", "/reminders", "/"]) {
    await page.goto(path);
    await settle(page);
  }
  await page.context().setOffline(true);
  for (const path of ["/", "/indicators", "/explanations", "/feedback", "/reminders"]) {
    await page.goto(path);
    await expect(page.locator("main h1"), path).toBeVisible();
    await expect(page.locator('[data-live="stale"]'), path).toBeVisible();
    await expect(page.locator(".failure"), path).toHaveCount(0);
  }
  await page.goto("/");
  await expect(page.locator("[data-risk]").first()).toHaveAttribute("data-risk", first ?? "");
  await page.context().setOffline(false);
  await isLive(page);
});

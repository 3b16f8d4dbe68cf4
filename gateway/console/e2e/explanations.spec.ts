import type { Page } from "@playwright/test";
import { askable, expect, fillSignIn, inDays, isLive, paper, signIn, test } from "./city";

// Lines that the finance department answers for, so that its head can.
const FINANCE = '[data-risk^="HCM.04.0"]:not([data-risk="HCM.04.06"]), [data-risk^="HCM.03"], [data-risk="HCM.06.01"]';

/** Asks about the first line nobody asked about; returns the path of the request. */
async function ask(leader: Page, press: "click" | "tap" = "click"): Promise<string> {
  const code = (await askable(leader, FINANCE).getAttribute("data-risk")) ?? "";
  await leader.locator(`[data-risk="${code}"] .act button`).first()[press]();
  await expect(leader.locator("[data-send]")).toBeFocused();
  await expect(leader.locator("dialog textarea")).not.toHaveValue("");
  await leader.locator("[data-send]")[press]();
  // Two of them, and it is sent; the line now shows the request instead of the button.
  await expect(leader.locator(".toast")).toBeVisible();
  const request = leader.locator(`[data-risk="${code}"] a.request`).first();
  await expect(request).toBeVisible();
  return (await request.getAttribute("href")) ?? "";
}

async function undo(leader: Page): Promise<void> {
  await leader.locator(".toast button", { hasText: "Thu hồi" }).click();
  await expect(leader.locator(".toast", { hasText: "Đã thu hồi" })).toBeVisible();
}

async function answer(head: Page, cause: string): Promise<void> {
  await head.locator('textarea[name="cause"]').fill(cause);
  await head.locator('textarea[name="action"]').fill("Rà soát từng dự án, giao chỉ tiêu tuần, báo cáo mỗi thứ sáu.");
  await head.locator('input[name="remedy"]').fill(inDays(20));
  await head.locator('input[type="file"]').setInputFiles(paper);
  await expect(head.locator(`[data-attachment="${paper.name}"]`)).toBeVisible();
  await head.locator("[data-answer]").click();
  await expect(head.locator('[data-state="3"]')).toBeVisible();
}

test("a leader asks in two clicks, the unit answers, the leader returns once and then accepts", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  const path = await ask(leader);

  const head = await signIn(browser, "finance.head", path);
  const before = await head.locator("[data-evidence]").innerText();
  await answer(head, "Giải phóng mặt bằng chậm ở ba dự án lớn.");

  await leader.goto(path);
  await leader.locator("[data-start-return]").click();
  await leader.locator('textarea[name="reason"]').fill("Cần nêu rõ từng dự án và người chịu trách nhiệm.");
  await leader.locator("[data-return]").click();
  await expect(leader.locator('[data-state="4"]')).toBeVisible();

  // The unit sees the return without reload.
  await expect(head.locator('[data-state="4"]')).toBeVisible();
  // What was answered is still there to be mended, the document included.
  await expect(head.locator('textarea[name="cause"]')).toHaveValue("Giải phóng mặt bằng chậm ở ba dự án lớn.");
  await expect(head.locator('input[name="remedy"]')).toHaveValue(inDays(20));
  await expect(head.locator(`[data-attachment="${paper.name}"]`)).toBeVisible();
  await head.locator('textarea[name="cause"]').fill("Ba dự án: vành đai, bệnh viện, trường học.");
  await head.locator("[data-answer]").click();

  await expect(leader.locator('[data-state="3"]')).toBeVisible();
  leader.once("dialog", (dialog) => void dialog.accept());
  await leader.locator("[data-accept]").click();
  await expect(leader.locator('[data-state="5"]')).toBeVisible();

  // The thread holds every step: asked, seen, answered, returned, answered, accepted.
  const kinds = leader.locator("li[data-kind]");
  expect(await kinds.evaluateAll((all) => all.map((one) => one.getAttribute("data-kind")))).toEqual(
    expect.arrayContaining(["1", "2", "3", "4", "5"]),
  );
  await expect(leader.locator('li[data-kind="3"] button.file')).toHaveCount(2);
  const download = leader.waitForEvent("download");
  await leader.locator("button.file").first().click();
  expect((await download).suggestedFilename()).toBe(paper.name);
  expect(await head.locator("[data-evidence]").innerText(), "frozen evidence").toBe(before);
});

test("two touches ask on a phone, and the first button needs no scrolling", async ({ browser }) => {
  const options = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
  const leader = await signIn(browser, "chairman", "/", options);
  await isLive(leader);
  await expect(askable(leader)).toBeVisible();
  // Measured at one instant: the board lives.
  const space = await leader.evaluate(() => {
    const button = document.querySelector(".act button, .act a")?.getBoundingClientRect();
    const bar = document.querySelector("nav")?.getBoundingClientRect();
    return (bar?.top ?? Number.NaN) - (button?.bottom ?? Number.NaN);
  });
  expect(space).toBeGreaterThanOrEqual(0);
  await ask(leader, "tap");
  await undo(leader);
});

test("the keyboard alone asks", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  const code = await askable(leader, FINANCE).getAttribute("data-risk");
  const line = leader.locator(`[data-risk="${code}"]`);
  // From the line's name the next stop is its button.
  await line.locator(".what a").focus();
  await leader.keyboard.press("Tab");
  await expect(line.locator(".act button")).toBeFocused();
  await leader.keyboard.press("Enter");
  await expect(leader.locator("[data-send]")).toBeFocused();
  await leader.keyboard.press("Enter");
  await expect(leader.locator(`[data-risk="${code}"] a.request`)).toBeFocused();
  await undo(leader);
  await expect(leader.locator(`[data-risk="${code}"] .act button`)).toBeVisible();
});

test("what is typed survives the end of the session", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  const path = await ask(leader);
  const head = await signIn(browser, "finance.head", path);
  const cause = head.locator('textarea[name="cause"]');
  await cause.fill("Bản nháp còn nguyên");
  await head.locator('textarea[name="action"]').fill("Chưa gửi được vì phiên đã hết");
  await head.locator('input[name="remedy"]').fill(inDays(20));

  await head.context().clearCookies();
  await head.locator("[data-answer]").click();
  const dialog = head.locator("dialog[open]");
  await expect(dialog.getByRole("heading")).toHaveText("Phiên làm việc đã hết");
  await expect(cause).toHaveValue("Bản nháp còn nguyên");
  await dialog.getByRole("link").click();
  await fillSignIn(head, "finance.head");
  await expect(head).toHaveURL(new RegExp(`${path}$`));
  await expect(cause).toHaveValue("Bản nháp còn nguyên");
  await head.locator("[data-answer]").click();
  await expect(head.locator('[data-state="3"]')).toBeVisible();

  leader.once("dialog", (one) => void one.accept());
  await leader.goto(path);
  await leader.locator("[data-accept]").click();
  await expect(leader.locator('[data-state="5"]')).toBeVisible();
});

test("leaving ends the session for good and takes the drafts along", async ({ browser }) => {
  const page = await signIn(browser, "finance.head", "/reminders");
  await page.evaluate(() => localStorage.setItem("civicmesh.draft.x", "{}"));
  await page.locator("button.account").click();
  await page.getByRole("button", { name: "Đăng xuất" }).click();
  const again = page.getByRole("link", { name: "Đăng nhập bằng tài khoản công chức" });
  await expect(again).toBeVisible();
  expect(await page.evaluate(() => localStorage.getItem("civicmesh.draft.x"))).toBeNull();
  // The single sign-on asks for the password anew.
  await again.click();
  await expect(page.locator('input[name="password"]')).toBeVisible();
});

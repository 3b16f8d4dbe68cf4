import { expect, isLive, signIn, test } from "./city";

test("a figure is entered, approved, and the board follows without reload", async ({ browser }) => {
  const officer = await signIn(browser, "finance.officer", "/reporting");
  const duty = officer
    .locator("[data-due-code]")
    .filter({ has: officer.locator("[data-enter]") })
    .first();
  await expect(duty).toBeVisible();
  const code = (await duty.getAttribute("data-due-code")) ?? "";
  const link = (await duty.locator("a").first().getAttribute("href")) ?? "";
  await duty.locator("[data-enter]").click();

  // A text that is no number is refused at its field, and what was typed stays.
  const value = officer.locator('dialog input[name="value"]');
  await value.fill("nhiều");
  await officer.locator("[data-submit]").click();
  await expect(value).toHaveAttribute("aria-invalid", "true");
  await expect(value).toHaveValue("nhiều");

  // What was reported last, a little changed, is plausible whatever the indicator measures.
  const look = await signIn(browser, "chairman", link);
  const last = look
    .locator("section", { has: look.getByRole("heading", { name: "Số liệu đã báo cáo" }) })
    .locator("tbody td.n")
    .first();
  const before = ((await last.textContent()) ?? "0").trim().replaceAll(".", "").replace("−", "-");
  await value.fill(before);
  await officer.locator("[data-submit]").click();
  await expect(officer.locator("dialog[open]")).toHaveCount(0);

  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  const unit = new URL(link, "http://x").searchParams.get("unit") ?? "";
  const changes = leader.waitForRequest((request) => request.url().includes("ListRiskItems"), { timeout: 15_000 });

  const approver = await signIn(browser, "finance.approver", "/reporting");
  await approver.locator(`[data-queue] [data-submission="${code}"] [data-approve]`).first().click();
  const approved = Date.now();
  await changes;
  expect(Date.now() - approved, "milliseconds until the board follows").toBeLessThan(2_000);
  await leader.goto(`/indicators?q=${code}`);
  await expect(leader.locator(`a[href*="${unit}"]`).first()).toBeVisible();
});

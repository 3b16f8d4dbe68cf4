import { expect, expectErrors, isLive, read, signIn, test } from "./city";

interface Duty {
  indicator: { id: string; code: string; minimum: string; maximum: string };
  unitId: string;
  period: { code: string };
  submission?: { state: string };
}

test("a figure is entered, approved, and the board follows without reload", async ({ browser }) => {
  // Wrong figures are refused, and the browser reports each answer.
  expectErrors(/\b400\b/);
  const officer = await signIn(browser, "finance.officer", "/reporting");
  await expect(officer.locator("[data-due-code]").first()).toBeVisible();
  // Which periods are due depends on the day; whatever can still be entered will do.
  const { dueReports } = await read<{ dueReports: Duty[] }>(officer, "/v1/due-reports?pageSize=200");
  const free = dueReports.filter((one) => one.submission?.state !== "SUBMISSION_STATE_SUBMITTED");
  const duty = free.find((one) => one.indicator.minimum !== "") ?? free[0];
  if (!duty) throw new Error("nothing is due to be reported");
  const { code } = duty.indicator;
  const row = officer.locator(`[data-due-code="${code}"]`).first();

  // The leader's board is open all the while.
  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  const line = leader.locator(`[data-risk="${code}"]`).first();
  await expect(line).toBeAttached();
  const before = await line.textContent();
  await leader.evaluate(() => Object.assign(window, { untouched: true }));

  await row.locator("[data-enter]").click();
  const value = officer.locator('dialog input[name="value"]');
  const last = (await officer.locator("[data-before]").getAttribute("data-before")) ?? "";
  expect(last, "what was reported before is shown").not.toBe("");
  const wrong = ["nhiều", "1.234", "12abc"];
  if (duty.indicator.minimum) wrong.push(`${Number(duty.indicator.minimum) - 1}`.replace(".", ","));
  if (duty.indicator.maximum) wrong.push(`${Number(duty.indicator.maximum) + 1}`.replace(".", ","));
  for (const text of wrong) {
    await value.fill(text);
    await officer.locator("[data-submit]").click();
    await expect(value, text).toHaveAttribute("aria-invalid", "true");
    await expect(officer.locator("#value-hint.error"), text).not.toBeEmpty();
    await expect(value, "what was typed stays").toHaveValue(text);
  }
  // A slip by a factor of ten is told while it is typed, with what was probably meant.
  const asked = `${duty.indicator.id}/${duty.unitId}:check?period.code=${duty.period.code}&value=${last}`;
  const expected = await read<{ expectedLow: string; expectedHigh: string }>(officer, `/v1/forecasts/${asked}`);
  const slip = `${(Number(expected.expectedLow) + Number(expected.expectedHigh)) / 20}`.replace(".", ",");
  await value.fill(slip);
  await expect(officer.locator("[data-unusual]")).toContainText("10");
  await officer.locator("[data-suggested]").click();
  await expect(value).not.toHaveValue(slip);
  // What was reported last is plausible whatever the indicator measures.
  await value.fill(last.replace(".", ","));
  await officer.locator("[data-submit]").click();
  await expect(officer.locator("dialog[open]")).toHaveCount(0);

  const approver = await signIn(browser, "finance.approver", "/reporting");
  await approver.locator(`[data-queue] [data-submission="${code}"] [data-approve]`).first().click();
  const approved = Date.now();
  await expect.poll(() => line.textContent(), { intervals: [50] }).not.toBe(before);
  expect(Date.now() - approved, "milliseconds until the board shows it").toBeLessThan(4_000);
  expect(await leader.evaluate(() => "untouched" in window), "without reload").toBe(true);
  const [year, month] = duty.period.code.split("-");
  if (/^\d\d$/.test(month ?? "")) await expect(line).toContainText(`T${Number(month)}/${year}`);
});

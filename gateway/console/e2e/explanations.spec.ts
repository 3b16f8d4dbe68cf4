import { expect, inDays, isLive, paper, signIn, test } from "./city";

test("a leader asks in two clicks, the unit answers, the leader returns once and then accepts", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/");
  await isLive(leader);
  // Lines of the finance department's fields, so that its head can answer.
  const finance = leader.locator('[data-risk^="HCM.04"], [data-risk^="HCM.06"], [data-risk^="HCM.03"]');
  const line = finance.filter({ has: leader.locator(".act button") }).first();
  await expect(line).toBeVisible();
  const code = (await line.getAttribute("data-risk")) ?? "";

  let clicks = 0;
  await line.locator(".act button").click();
  clicks += 1;
  await expect(leader.locator("[data-send]")).toBeFocused();
  await expect(leader.locator("dialog textarea")).not.toHaveValue("");
  await leader.locator("[data-send]").click();
  clicks += 1;
  await expect(leader.locator(".toast")).toBeVisible();
  expect(clicks).toBe(2);
  // The line now shows the request instead of the button.
  const request = leader.locator(`[data-risk="${code}"] a.request`).first();
  await expect(request).toBeVisible();
  const path = (await request.getAttribute("href")) ?? "";

  const head = await signIn(browser, "finance.head", path);
  const before = await head.locator("[data-evidence]").innerText();
  async function answer(cause: string) {
    await head.locator('textarea[name="cause"]').fill(cause);
    await head.locator('textarea[name="action"]').fill("Rà soát từng dự án, giao chỉ tiêu tuần, báo cáo mỗi thứ sáu.");
    await head.locator('input[name="remedy"]').fill(inDays(20));
    await head.locator('input[type="file"]').setInputFiles(paper);
    await expect(head.locator(`[data-attachment="${paper.name}"]`)).toBeVisible();
    await head.locator("[data-answer]").click();
    await expect(head.locator('[data-state="3"]')).toBeVisible();
  }
  await answer("Giải phóng mặt bằng chậm ở ba dự án lớn.");

  await leader.goto(path);
  await leader.locator("[data-start-return]").click();
  await leader.locator('textarea[name="reason"]').fill("Cần nêu rõ từng dự án và người chịu trách nhiệm.");
  await leader.locator("[data-return]").click();
  await expect(leader.locator('[data-state="4"]')).toBeVisible();

  // The unit sees the return without reload.
  await expect(head.locator('[data-state="4"]')).toBeVisible();
  await answer("Ba dự án: vành đai, bệnh viện, trường học; mỗi dự án có một phó giám đốc phụ trách.");

  await expect(leader.locator('[data-state="3"]')).toBeVisible();
  leader.once("dialog", (dialog) => void dialog.accept());
  await leader.locator("[data-accept]").click();
  await expect(leader.locator('[data-state="5"]')).toBeVisible();
  expect(await head.locator("[data-evidence]").innerText(), "frozen evidence").toBe(before);
});

test("what is typed survives the end of the session", async ({ browser }) => {
  const head = await signIn(browser, "finance.head", "/explanations");
  const link = head.locator("[data-explanation] a").first();
  test.skip((await link.count()) === 0, "no open request to answer");
  await link.click();
  const cause = head.locator('textarea[name="cause"]');
  test.skip((await cause.count()) === 0, "the first request is not to be answered");
  await cause.fill("Bản nháp còn nguyên");
  await head.reload();
  await expect(cause).toHaveValue("Bản nháp còn nguyên");
  await cause.fill("");
});

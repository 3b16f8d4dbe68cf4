import { expect, photo, signIn, test, watched } from "./city";

test("a resident files with a photo, an officer answers, the resident tracks and rates", async ({ browser }) => {
  const resident = await watched(browser);
  await resident.goto("/portal.html");
  const map = resident.locator('[data-map="ready"] > svg');
  await expect(map).toBeVisible();
  // The ward of the demonstration's case officer; then a click on the map itself.
  await resident.locator("[data-ward]").selectOption("26740");
  await expect(resident.locator("[data-place] .icon")).toBeVisible();
  const box = await map.boundingBox();
  if (!box) throw new Error("the map has no size");
  await map.click({ position: { x: box.width / 2, y: box.height / 2 } });
  await expect(resident.locator("[data-place] .icon")).toBeVisible();

  const title = `Đèn đường hỏng ${Date.now()}`;
  const categories = resident.locator('select[name="category"]');
  await expect(categories.locator("option")).not.toHaveCount(1);
  await categories
    .selectOption({ label: "Rác thải, vệ sinh môi trường" })
    .catch(() => categories.selectOption({ index: 1 }));
  await resident.locator('input[name="title"]').fill(title);
  await resident.locator('textarea[name="body"]').fill("Cả đoạn đường tối từ ba hôm nay, rất nguy hiểm cho học sinh.");
  await resident.locator('input[type="file"]').setInputFiles(photo);
  await expect(resident.locator("[data-photo]")).toBeVisible();
  await resident.locator("[data-file]").click();
  const code = ((await resident.locator("[data-code]").textContent()) ?? "").trim();
  expect(code).not.toBe("");

  const officer = await signIn(browser, "operator", `/feedback?q=${encodeURIComponent(title)}`);
  const link = officer.locator("[data-feedback] a").first();
  await expect(link).toHaveText(title);
  const path = (await link.getAttribute("href")) ?? "";
  let answering = officer;
  await officer.goto(path);
  await expect(officer.locator("img[data-photo]")).toBeVisible();
  // Whoever is in charge answers: the ward's officer, or the department's when the category goes there.
  for (const login of ["saigon.case", "construction.case"]) {
    const page = await signIn(browser, login, path);
    const form = page.locator('[data-kind="answer"]');
    if (
      await form.waitFor({ timeout: 5_000 }).then(
        () => true,
        () => false,
      )
    ) {
      answering = page;
      break;
    }
  }
  await answering.locator('[data-kind="answer"]').click();
  await answering
    .locator('textarea[name="text"]')
    .fill("Đã thay bóng và kiểm tra lại toàn tuyến, mời bà con theo dõi.");
  await answering.locator("[data-send-feedback]").click();
  await expect(answering.locator('[data-step="4"]')).toBeVisible();

  await resident.locator("[data-follow]").click();
  await expect(resident.locator('[data-state="FEEDBACK_STATE_ANSWERED"]')).toBeVisible();
  await resident.getByText("Hài lòng", { exact: true }).click();
  await resident.locator('textarea[name="comment"]').fill("Xử lý nhanh.");
  await resident.locator("[data-rate]").click();
  await expect(resident.getByText("Cảm ơn bạn đã đánh giá.")).toBeVisible();

  // Unknown codes say so.
  await resident.locator('input[name="code"]').fill("KHONG-CO-MA");
  await resident.locator("[data-look]").click();
  await expect(resident.getByRole("alert")).toBeVisible();
});

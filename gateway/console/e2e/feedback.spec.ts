import { expect, expectErrors, isLive, photo, signIn, test, watched } from "./city";

test("a resident files with a photo, an officer answers, the resident tracks and rates", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/feedback");
  await isLive(leader);

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

  const title = `Rác ùn ứ đầu hẻm ${Date.now()}`;
  const categories = resident.locator('select[name="category"]');
  await expect(categories.locator("option")).not.toHaveCount(1);
  await categories.selectOption({ label: "Rác thải, vệ sinh môi trường" });
  await resident.locator('input[name="title"]').fill(title);
  await resident.locator('textarea[name="body"]').fill("Rác không được thu gom ba hôm nay, mùi hôi vào trường học.");
  await resident.locator('input[type="file"]').setInputFiles(photo);
  await expect(resident.locator("[data-photo]")).toBeVisible();
  await resident.locator("[data-file]").click();
  const code = ((await resident.locator("[data-code]").textContent()) ?? "").trim();
  expect(code).not.toBe("");

  // The leader's list, long open, counts it without reload; looked for, it is there, and routed.
  await leader.locator('input[type="search"]').fill(title);
  const link = leader.locator("[data-feedback] a").first();
  await expect(link).toHaveText(title);
  const path = (await link.getAttribute("href")) ?? "";
  await link.click();
  await expect(leader.locator('[data-step="2"]')).toBeVisible();
  await expect(leader.locator("img[data-photo]")).toBeVisible();

  const officer = await signIn(browser, "saigon.case", path);
  await officer.locator('[data-kind="answer"]').click();
  await officer.locator('textarea[name="text"]').fill("Đã thu gom và tăng chuyến, mời bà con theo dõi.");
  await officer.locator("[data-send-feedback]").click();
  await expect(officer.locator('[data-step="4"]')).toBeVisible();
  await expect(leader.locator('[data-step="4"]'), "the leader sees the answer without reload").toBeVisible();

  await resident.locator("[data-follow]").click();
  await expect(resident.locator('[data-state="FEEDBACK_STATE_ANSWERED"]')).toBeVisible();
  await resident.getByText("Hài lòng", { exact: true }).click();
  await resident.locator('textarea[name="comment"]').fill("Xử lý nhanh.");
  await resident.locator("[data-rate]").click();
  await expect(resident.getByText("Cảm ơn bạn đã đánh giá.")).toBeVisible();
  await expect(leader.locator('[data-step="6"]'), "and the rating").toBeVisible();

  // Unknown codes say so.
  expectErrors(/\b404\b/);
  await resident.locator('input[name="code"]').fill("KHONG-CO-MA");
  await resident.locator("[data-look]").click();
  await expect(resident.getByRole("alert")).toBeVisible();
});

test("new feedback appears in an open list by itself", async ({ browser }) => {
  const leader = await signIn(browser, "chairman", "/feedback");
  await isLive(leader);
  const received = leader.locator(".totals b").first();
  await expect(received).not.toHaveText("0");
  const before = Number((await received.innerText()).replace(/\D/g, ""));
  const title = `Cây nghiêng trước cổng ${Date.now()}`;
  await leader.locator('input[type="search"]').fill(title);
  await expect(leader.locator("[data-feedback]")).toHaveCount(0);

  const filed = await leader.request.post("/v1/public/feedback", {
    data: {
      requestId: crypto.randomUUID(),
      categoryCode: "road",
      title,
      body: "Cây nghiêng sau mưa, cần kiểm tra sớm.",
      point: { longitude: 106.70427, latitude: 10.78337 },
      address: "",
      photoIds: [],
    },
    headers: { "sec-fetch-site": "same-origin" },
  });
  expect(filed.status()).toBe(200);
  await expect(leader.locator("[data-feedback] a").first()).toHaveText(title);
  await expect.poll(async () => Number((await received.innerText()).replace(/\D/g, ""))).toBeGreaterThan(before);
});

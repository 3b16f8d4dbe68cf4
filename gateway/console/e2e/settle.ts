// Before the journeys: the board of a city that was just loaded stands when it no longer changes.

import { expect, read, signIn, test } from "./city";

test("the board comes to rest after the start", async ({ browser }) => {
  test.setTimeout(300_000);
  const leader = await signIn(browser, "chairman");
  const board = async () => JSON.stringify(await read(leader, "/v1/risk-items?page_size=500"));
  await expect(async () => {
    const before = await board();
    await leader.waitForTimeout(8_000);
    expect(await board()).toBe(before);
  }).toPass();
});

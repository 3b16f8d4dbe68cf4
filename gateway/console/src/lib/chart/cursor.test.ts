import { expect, it } from "vitest";
import { moved } from "./cursor";

it("moves by keys and stays on the chart", () => {
  expect(moved("ArrowRight", 1, 4)).toBe(2);
  expect(moved("ArrowRight", 3, 4)).toBe(3);
  expect(moved("ArrowRight", -1, 4), "not yet on it").toBe(0);
  expect(moved("ArrowLeft", 0, 4)).toBe(0);
  expect(moved("Home", 2, 4)).toBe(0);
  expect(moved("End", 0, 4)).toBe(3);
});

it("leaves other keys to the page", () => {
  expect(moved("Tab", 1, 4)).toBeUndefined();
});

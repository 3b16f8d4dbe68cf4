import { expect, it } from "vitest";
import { linear, nice } from "./scale";

it("maps and ticks", () => {
  const scale = linear([0, 1000], [100, 0]);
  expect(scale(250)).toBe(75);
  expect(scale.ticks).toEqual([0, 200, 400, 600, 800, 1000]);
  expect(scale.decimals).toBe(0);
});

it("gives small ranges the decimals they need", () => {
  expect(linear([8, 8.4], [0, 1], 4).decimals).toBe(1);
});

it("stands a range without width", () => {
  expect(linear([5, 5], [0, 100])(5)).toBe(0);
});

it("widens to whole steps", () => {
  expect(nice([13, 961])).toEqual([0, 1000]);
});

import { expect, it } from "vitest";
import { arrange, displaced } from "./order";

it("follows the wanted order when nobody is there", () => {
  expect(arrange(["a", "b", "c"], ["c", "a", "b"], false)).toEqual(["c", "a", "b"]);
});

it("stands still while held", () => {
  expect(arrange(["a", "b", "c"], ["c", "d", "a"], true)).toEqual(["a", "c", "d"]);
});

it("counts what would move", () => {
  expect(displaced(["a", "b", "c"], ["a", "b", "c"])).toBe(0);
  expect(displaced(["a", "b", "c"], ["b", "a", "c"])).toBe(2);
});

import { expect, it } from "vitest";
import { arrange, displaced, sorted } from "./order";

it("follows the wanted order when nobody is there", () => {
  expect(arrange(["a", "b", "c"], ["c", "a", "b"], false)).toEqual(["c", "a", "b"]);
});

it("stands still while held", () => {
  expect(arrange(["a", "b", "c"], ["c", "d", "a"], true)).toEqual(["a", "c", "d"]);
});

it("counts what would move", () => {
  const count = (shown: string, wanted: string) => displaced([...shown], [...wanted]).size;
  expect(count("abc", "abc")).toBe(0);
  expect(count("abc", "bac")).toBe(1);
  expect(count("abcdefgh", "bcdefgha"), "one that goes to the end moves no other").toBe(1);
  expect(count("abcd", "dcba")).toBe(3);
  expect([...displaced(["a", "b", "c"], ["a", "d", "c"])].sort(), "one left, one came").toEqual(["b", "d"]);
});

it("sorts by the first number in which two differ", () => {
  const of = (list: number[][]) => sorted(list, (one) => one);
  expect(
    of([
      [1, 2],
      [0, 9],
      [1, 1, 0],
      [1, 1],
    ]),
  ).toEqual([
    [0, 9],
    [1, 1, 0],
    [1, 1],
    [1, 2],
  ]);
});

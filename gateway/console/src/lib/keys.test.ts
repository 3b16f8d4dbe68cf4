import { expect, it } from "vitest";
import { wish } from "./keys";

it("reads keys alone and after g", () => {
  expect(wish("j", false)).toEqual({ kind: "move", step: 1 });
  expect(wish("k", false)).toEqual({ kind: "move", step: -1 });
  expect(wish("y", false)).toEqual({ kind: "press", key: "y" });
  expect(wish("/", true)).toEqual({ kind: "search" });
  expect(wish("g", false)).toEqual({ kind: "wait" });
  expect(wish("e", true)).toEqual({ kind: "go", key: "e" });
  expect(wish("e", false)).toEqual({ kind: "press", key: "e" });
  expect(wish("x", false)).toBeUndefined();
  expect(wish("Enter", false)).toBeUndefined();
});

import { expect, it } from "vitest";
import { contains, days, parsePeriod, periodAt, periodIndex } from "./period";

it("counts periods across years", () => {
  for (const code of ["2026", "2025-H2", "2026-Q1", "2025-12"]) {
    const period = parsePeriod(code);
    expect(periodAt(periodIndex(code), period?.perYear ?? 1)).toBe(code);
  }
  expect(periodIndex("2026-01") - periodIndex("2025-12")).toBe(1);
});

it("knows which longer period holds a shorter one", () => {
  expect(contains("2026", "2026-09")).toBe(true);
  expect(contains("2026-Q3", "2026-09")).toBe(true);
  expect(contains("2026-Q3", "2026-10")).toBe(false);
  expect(contains("2026-09", "2026")).toBe(false);
});

it("begins and ends on days", () => {
  expect(days("2026")).toEqual(["2026-01-01", "2026-12-31"]);
  expect(days("2026-H2")).toEqual(["2026-07-01", "2026-12-31"]);
  expect(days("2026-Q1")).toEqual(["2026-01-01", "2026-03-31"]);
  expect(days("2026-09")[0]).toBe("2026-09-01");
});

it("refuses what is no period", () => {
  expect(parsePeriod("2026-13")).toBeUndefined();
  expect(periodIndex("soon")).toBeNaN();
});

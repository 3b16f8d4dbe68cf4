import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ForecastSchema } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { vi } from "../messages/vi";
import { Formats } from "./format";
import { growth, isRunningTotal } from "./growth";

const f = new Formats("vi");
const of = (measureCode: string, figures: Record<string, string>) =>
  create(ForecastSchema, {
    indicator: { measureCode, decimals: 2 },
    history: Object.entries(figures).map(([code, value]) => ({ period: { code }, value })),
  });

it("tells growth in per cent, and of rates in points", () => {
  const figures = { "2025-10": "94.5", "2025-12": "95" };
  const say = (measure: string, code: string) =>
    growth(of(measure, figures), { code, value: "96.25", percent: "1.3" }, vi, f);
  expect(say("1e9 VND", "2026-10")).toBe("+1,3%");
  expect(say("%", "2026-10")).toBe("+1,75 điểm %");
  expect(say("%", "2026-Q4"), "against the closing figure").toBe("+1,25 điểm %");
  expect(say("%", "2026-09"), "nothing to hold it against").toBe("");
  expect(growth(of("%", figures), { code: "2026-10", value: "1", percent: "" }, vi, f)).toBe("");
});

it("tells figures that run up within the year", () => {
  const runs = (figures: Record<string, string>) => isRunningTotal(of("%", figures).history);
  expect(runs({ "2025-Q3": "39", "2025-Q4": "57", "2026-Q1": "13", "2026-Q2": "29" })).toBe(true);
  expect(runs({ "2025-Q3": "39", "2025-Q4": "57", "2026-Q1": "58", "2026-Q2": "60" }), "goes on").toBe(false);
  expect(runs({ "2025-Q3": "57", "2025-Q4": "39", "2026-Q1": "13", "2026-Q2": "29" }), "falls").toBe(false);
  expect(runs({ "2026-Q1": "13", "2026-Q2": "29" }), "no turn of the year yet").toBe(false);
});

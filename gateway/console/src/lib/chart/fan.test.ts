import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ForecastSchema } from "../../gen/civicmesh/forecasting/v1/forecasting_pb";
import { TargetKind, YearRule } from "../../gen/civicmesh/indicators/v1/indicators_pb";
import { fanPoints, mainTarget } from "./fan";

function forecast(yearRule: YearRule) {
  return create(ForecastSchema, {
    indicator: { yearRule },
    history: [
      { period: { code: "2025-Q4" }, value: "10" },
      { period: { code: "2026-Q1" }, value: "20" },
      { period: { code: "2026-Q3" }, value: "30" },
    ],
    points: [{ period: { code: "2026-Q4" }, mean: "40", low80: "35", high80: "45", low95: "30", high95: "50" }],
    assessments: [{ target: { period: { code: "2026" }, value: "120" } }],
  });
}

describe("by period", () => {
  it("keeps gaps and draws the plan only where it holds", () => {
    const one = forecast(YearRule.LAST);
    const points = fanPoints(one, mainTarget(one), false);
    expect(points.map((point) => point.period)).toEqual(["2025-Q4", "2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4"]);
    expect(points.map((point) => point.plan)).toEqual([undefined, 120, 120, 120, 120]);
    expect(points[2]?.actual).toBeUndefined();
    expect(points[4]).toMatchObject({ mean: 40, low80: 35, high95: 50 });
  });

  it("shows the average share of a yearly sum", () => {
    const one = forecast(YearRule.SUM);
    expect(fanPoints(one, mainTarget(one), false)[1]?.plan).toBe(30);
  });
});

it("goes by the plan that the board goes by, else by a base plan", () => {
  const assessments = [
    { target: { id: "stretch", kind: TargetKind.STRETCH } },
    { target: { id: "2030", kind: TargetKind.BASE } },
    { target: { id: "2026", kind: TargetKind.BASE } },
  ];
  const one = create(ForecastSchema, { assessments });
  expect(mainTarget(one)?.id).toBe("2030");
  expect(mainTarget(one, "2026")?.id).toBe("2026");
  expect(mainTarget(one, "stretch", "2026")?.id).toBe("stretch");
  expect(mainTarget(one, null, "2026")?.id).toBe("2026");
});

it("runs totals from the year's beginning and admits what it does not know", () => {
  const one = forecast(YearRule.SUM);
  one.history.splice(2, 0, { ...one.history[0], period: { code: "2026-Q2" }, value: "5" } as (typeof one.history)[0]);
  const points = fanPoints(one, mainTarget(one), true);
  expect(points.map((point) => point.actual)).toEqual([10, 20, 25, 55, undefined]);
  expect(points[4]).toMatchObject({ mean: 95, low80: undefined, plan: 120 });
});

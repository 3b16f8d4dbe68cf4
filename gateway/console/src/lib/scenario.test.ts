import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { AssessmentSchema, ForecastSchema, NoPaceReason } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { TargetSchema } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { canSuppose, openSteps, type Step, suppose } from "./scenario";

function periods(codes: string[], goal: string): string[] {
  const points = codes.map((code) => ({ period: { code }, mean: "1", low80: "0", high80: "2" }));
  const target = create(TargetSchema, { period: { code: goal } });
  return openSteps(create(ForecastSchema, { points }), target).map((step) => step.period);
}

describe("which periods can be supposed", () => {
  it("ends with the target's period, whatever its length", () => {
    const months = ["2026-10", "2026-11", "2026-12", "2027-01"];
    expect(periods(months, "2026")).toEqual(["2026-10", "2026-11", "2026-12"]);
    expect(periods(months, "2026-11")).toEqual(["2026-10", "2026-11"]);
    expect(periods(["2026-05", "2026-06", "2026-07"], "2026-H1")).toEqual(["2026-05", "2026-06"]);
    expect(periods(["2026-Q2", "2026-Q3", "2026-Q4"], "2026-Q3")).toEqual(["2026-Q2", "2026-Q3"]);
    expect(periods(["2026-Q4", "2027-Q1", "2027-Q2"], "2027"), "a target of a later year").toHaveLength(3);
  });

  it("is empty when the target's period is over or there is none", () => {
    expect(periods(["2027-01"], "2026")).toEqual([]);
    expect(periods(["2027-01"], "")).toEqual([]);
  });

  it("is twelve at most", () => {
    const months = Array.from(
      { length: 14 },
      (_, i) => `${2026 + Math.floor(i / 12)}-${`${(i % 12) + 1}`.padStart(2, "0")}`,
    );
    expect(periods(months, "2027")).toEqual(months.slice(0, 12));
  });

  it("offers figures with the indicator's places", () => {
    const forecast = create(ForecastSchema, {
      indicator: { decimals: 1 },
      points: [{ period: { code: "2026-12" }, mean: "12.345", low80: "-3", high80: "20" }],
    });
    expect(openSteps(forecast, create(TargetSchema, { period: { code: "2026" } }))).toEqual([
      { period: "2026-12", low: "-3.0", expected: "12.3", high: "20.0" },
    ]);
  });
});

describe("what is not forecast", () => {
  const after = (last: string, goal: string) => {
    const history = last ? [{ period: { code: last }, value: "1" }] : [];
    return openSteps(create(ForecastSchema, { history }), create(TargetSchema, { period: { code: goal } }));
  };

  it("is supposed up to the end of the plan, from nothing", () => {
    expect(after("2025", "2026")).toEqual([{ period: "2026", low: "", expected: "", high: "" }]);
    expect(after("2024", "2026").map((step) => step.period)).toEqual(["2025", "2026"]);
    expect(after("2026-Q2", "2026").map((step) => step.period)).toEqual(["2026-Q3", "2026-Q4"]);
  });

  it("is not supposed without a figure before, after the plan, or in part", () => {
    expect(after("", "2026")).toEqual([]);
    expect(after("2026", "2026")).toEqual([]);
    expect(after("2025-11", "2026"), "more than twelve").toEqual([]);
  });

  it("can be judged if no figure before is missing and it is not calculated", () => {
    const yearly = create(ForecastSchema, { indicator: {} });
    expect(canSuppose(yearly, create(AssessmentSchema))).toBe(true);
    expect(canSuppose(yearly, create(AssessmentSchema, { noPaceReason: NoPaceReason.UNKNOWN }))).toBe(false);
    expect(canSuppose(create(ForecastSchema, { indicator: { formula: {} } }), create(AssessmentSchema))).toBe(false);
    const forecast = create(ForecastSchema, { points: [{ mean: "1" }] });
    expect(canSuppose(forecast, create(AssessmentSchema))).toBe(false);
    expect(canSuppose(forecast, create(AssessmentSchema, { probability: 0.5 }))).toBe(true);
  });

  it("has no gap", () => {
    const { supposed, problems } = suppose(after("2024", "2026"), { "2026": "15" }, [], false);
    expect(supposed.periods).toEqual([]);
    expect(problems).toEqual({ "2025": { kind: "missing" } });
  });
});

describe("what is sent", () => {
  const steps: Step[] = ["2026-10", "2026-11", "2026-12"].map((period, i) => ({
    period,
    low: `${i}`,
    expected: `${i + 10}.5`,
    high: `${i + 20}`,
  }));

  const nothing = {
    periods: [],
    values: [],
    movedUnitIds: [],
    movedPercents: [],
    movedIndicatorIds: [],
    movedIndicatorPercents: [],
  };

  it("is nothing while nothing was typed", () => {
    expect(suppose(steps, {}, [], false)).toEqual({ supposed: nothing, isEmpty: true, problems: {} });
    expect(suppose(steps, { "2026-11": " " }, [], false).isEmpty, "an emptied input").toBe(true);
    expect(suppose(steps, {}, [{ id: "a", percent: " " }], false).isEmpty, "an emptied share").toBe(true);
  });

  it("goes from the first period to the last one typed into, without a gap", () => {
    expect(suppose(steps, { "2026-11": "1 234,5" }, [], false)).toEqual({
      supposed: { ...nothing, periods: ["2026-10", "2026-11"], values: ["10.5", "1234.5"] },
      isEmpty: false,
      problems: {},
    });
    expect(suppose(steps, { "2026-10": "7", "2026-12": "9" }, [], false).supposed.values).toEqual(["7", "11.5", "9"]);
  });

  it("is nothing while any number is wrong, and says which", () => {
    const found = suppose(steps, { "2026-10": "nhiều", "2026-11": "5", "2026-12": "1.234" }, [], false);
    expect(found.supposed).toEqual(nothing);
    expect(found.problems).toEqual({
      "2026-10": { kind: "notANumber" },
      "2026-12": { kind: "ambiguous", thousands: "1234", decimals: "1.234" },
    });
  });

  it("leaves out what was typed for a period reported meanwhile", () => {
    expect(suppose(steps, { "2026-09": "5" }, [], false).isEmpty).toBe(true);
  });

  it("names units that do otherwise, by shares within reason", () => {
    const moved = (percent: string) => suppose(steps, {}, [{ id: "a", percent }], false);
    expect(moved("-12,5").supposed).toEqual({ ...nothing, movedUnitIds: ["a"], movedPercents: [-12.5] });
    expect(moved("5%").supposed.movedPercents).toEqual([5]);
    expect(moved("-101").problems).toEqual({ a: { kind: "range", least: "-100", most: "1000" } });
    expect(moved("1001").supposed).toEqual(nothing);
    expect(moved("nhiều").problems).toEqual({ a: { kind: "notANumber" } });
  });

  it("names indicators that do otherwise", () => {
    const { supposed, isEmpty } = suppose(steps, {}, [{ id: "a", percent: "7" }], false, "indicators");
    expect(supposed).toEqual({ ...nothing, movedIndicatorIds: ["a"], movedIndicatorPercents: [7] });
    expect(isEmpty).toBe(false);
  });

  it("takes a per cent sign only where the measure is per cent", () => {
    expect(suppose(steps, { "2026-10": "5%" }, [], true).supposed.values).toEqual(["5"]);
    expect(suppose(steps, { "2026-10": "5%" }, [], false).problems).toHaveProperty("2026-10");
  });
});

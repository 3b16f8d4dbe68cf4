import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ForecastAccuracySchema } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { en } from "../messages/en";
import { vi } from "../messages/vi";
import { constantBrier, errorWords, isFew, takeaway, whole } from "./accuracy";
import { Formats } from "./format";

const f = new Formats("vi");
const steps = [{ step: 1, count: 1_250, coverage80: 0.78, coverage95: 0.94 }];
const bins = [
  { low: 0, high: 0.1, count: 72, meanProbability: 0.04, metShare: 0.25 },
  { low: 0.2, high: 0.3, count: 128, meanProbability: 0.25, metShare: 0.242 },
];

describe("what to remember", () => {
  it("is about what was said and came on the whole, then about what was furthest off", () => {
    const found = create(ForecastAccuracySchema, { steps, bins, planCount: 190 });
    expect(takeaway(found, vi, f)).toBe(
      "Trong 200 lần nói xác suất về 190 kế hoạch, trung bình nói 17%, thực tế 24% đạt kế hoạch: quá thận trọng. " +
        "Lệch nhiều nhất: trong 72 lần nói 0–\u206010%, 25% đã đạt.",
    );
    expect(takeaway(found, en, new Formats("en"))).toBe(
      "A probability was stated 200 times for 190 plans, 17% on average, and 24% met the plan: too cautious. " +
        "Furthest off: of the 72 times it was 0–\u206010%, 25% met the plan.",
    );
    expect(isFew(found)).toBe(false);
  });

  it("tells too confident from fitting", () => {
    const of = (meanProbability: number, planCount: number) => {
      const bins = [{ low: 0.5, high: 0.9, count: 40, meanProbability, metShare: 0.6 }];
      return takeaway(create(ForecastAccuracySchema, { bins, planCount }), vi, f);
    };
    expect(of(0.8, 40)).toMatch(/nói 80%, thực tế 60% .*: quá lạc quan\.$/);
    expect(of(0.62, 40)).toMatch(/: tính chung là khớp\.$/);
    expect(of(0.8, 20)).toMatch(/: có thể do ngẫu nhiên\.$/);
  });

  it("is about the next period while no plan was decided", () => {
    expect(takeaway(create(ForecastAccuracySchema, { steps }), vi, f)).toMatch(/1\.250 .*trước 1 kỳ, 78% nằm/);
  });

  it("admits that nothing has come true yet", () => {
    const nothing = create(ForecastAccuracySchema, {});
    expect(takeaway(nothing, vi, f)).toBe(vi.accuracy.none);
    expect(isFew(nothing), "nothing is not little").toBe(false);
  });
});

it("says when there is too little to judge", () => {
  const bins = [{ count: 108 }];
  expect(isFew(create(ForecastAccuracySchema, { bins, planCount: 9 }))).toBe(true);
  expect(isFew(create(ForecastAccuracySchema, { bins, planCount: 10 }))).toBe(false);
});

it("knows what always saying the share met would get", () => {
  expect(whole(create(ForecastAccuracySchema, { bins }).bins)?.met).toBeCloseTo(0.245);
  expect(whole([])).toBeUndefined();
  expect(constantBrier(0.7)).toBeCloseTo(0.21);
});

it("puts errors into words", () => {
  expect(errorWords(0.77, vi, f)).toBe("sai ít hơn 23%");
  expect(errorWords(1.2, vi, f)).toBe("sai nhiều hơn 20%");
  expect(errorWords(0.98, vi, f)).toBe("sai như nhau");
});

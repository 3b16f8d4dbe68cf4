import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ForecastAccuracySchema } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { en } from "../messages/en";
import { vi } from "../messages/vi";
import { errorWords, isFew, takeaway } from "./accuracy";
import { Formats } from "./format";

const f = new Formats("vi");
const steps = [{ step: 1, count: 1_250, coverage80: 0.78, coverage95: 0.94 }];
const bins = [
  { low: 0, high: 0.1, count: 12, meanProbability: 0.04, metShare: 0 },
  { low: 0.2, high: 0.3, count: 128, meanProbability: 0.25, metShare: 0.242 },
];

describe("what to remember", () => {
  it("is about the probability stated most often", () => {
    const found = create(ForecastAccuracySchema, { steps, bins });
    expect(takeaway(found, vi, f)).toBe("Trong 128 lần nói xác suất 20–30%, 24% đã đạt kế hoạch.");
    expect(takeaway(found, en, new Formats("en"))).toBe(
      "Of the 128 times a probability of 20–30% was stated, 24% met the plan.",
    );
    expect(isFew(found)).toBe(false);
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
  expect(isFew(create(ForecastAccuracySchema, { bins: bins.slice(0, 1) }))).toBe(true);
});

it("puts errors into words", () => {
  expect(errorWords(0.77, vi, f)).toBe("sai ít hơn 23%");
  expect(errorWords(1.2, vi, f)).toBe("sai nhiều hơn 20%");
  expect(errorWords(0.98, vi, f)).toBe("sai như nhau");
});

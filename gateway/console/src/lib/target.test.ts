import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { AssessmentSchema } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { Comparator, TargetSchema } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { en } from "../messages/en";
import { vi } from "../messages/vi";
import { aim, goal, pace } from "./target";

const write = (decimal: string) => `${decimal}.`;
const least = create(TargetSchema, { comparator: Comparator.AT_LEAST, value: "5" });
const most = create(TargetSchema, { comparator: Comparator.AT_MOST, value: "5" });
const range = create(TargetSchema, { comparator: Comparator.WITHIN, value: "5", upperValue: "7" });

it("keeps both ends of a range", () => {
  expect([least, most, range, undefined].map((one) => aim(one, write))).toEqual([
    "5.",
    "≤\u00a05.",
    "5.\u00a0–\u00a07.",
    "",
  ]);
  expect([least, most, range].map((one) => goal(one, write, vi))).toEqual(["≥\u00a05.", "≤\u00a05.", "từ 5. đến 7."]);
  expect(goal(range, write, en)).toBe("from 5. to 7.");
  expect(goal(undefined, write, en)).toBe("");
});

it("says of what is still needed whether it may be less", () => {
  const assessment = create(AssessmentSchema, { target: most, requiredPace: "3" });
  expect(pace(assessment, write)).toBe("≤\u00a03.");
  expect(pace({ ...assessment, target: range, requiredPaceUpper: "4" }, write)).toBe("3.\u00a0–\u00a04.");
  expect(pace(create(AssessmentSchema), write)).toBe("");
});

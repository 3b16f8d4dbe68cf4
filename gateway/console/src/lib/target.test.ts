import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Comparator, TargetSchema } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { en } from "../messages/en";
import { vi } from "../messages/vi";
import { aim, goal } from "./target";

const write = (decimal: string) => `${decimal}.`;
const least = create(TargetSchema, { comparator: Comparator.AT_LEAST, value: "5" });
const most = create(TargetSchema, { comparator: Comparator.AT_MOST, value: "5" });
const range = create(TargetSchema, { comparator: Comparator.WITHIN, value: "5", upperValue: "7" });

it("keeps both ends of a range", () => {
  expect([least, most, range, undefined].map((one) => aim(one, write))).toEqual(["5.", "≤ 5.", "5. – 7.", ""]);
  expect([least, most, range].map((one) => goal(one, write, vi))).toEqual(["≥ 5.", "≤ 5.", "từ 5. đến 7."]);
  expect(goal(range, write, en)).toBe("from 5. to 7.");
  expect(goal(undefined, write, en)).toBe("");
});

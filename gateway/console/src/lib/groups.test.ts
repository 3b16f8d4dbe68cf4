import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { ExplanationSchema, ExplanationState } from "../gen/civicmesh/explanations/v1/explanations_pb";
import { groupOf } from "./groups";

const now = new Date("2026-11-21T02:00:00Z");
const due = (iso: string, state = ExplanationState.SEEN, overdue = false) =>
  groupOf(create(ExplanationSchema, { deadline: timestampFromDate(new Date(iso)), state, overdue }), now);

it("groups by urgency in the city's days", () => {
  expect(due("2026-11-20T10:00:00Z", ExplanationState.SEEN, true)).toBe("overdue");
  expect(due("2026-11-21T10:00:00Z")).toBe("today");
  expect(due("2026-11-26T10:00:00Z")).toBe("week");
  expect(due("2026-12-20T10:00:00Z")).toBe("later");
});

it("puts what waits for a decision and what is over elsewhere", () => {
  expect(due("2026-11-20T10:00:00Z", ExplanationState.ANSWERED)).toBe("review");
  expect(due("2026-11-20T10:00:00Z", ExplanationState.ACCEPTED)).toBe("closed");
});

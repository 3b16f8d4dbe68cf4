import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { UnitChangeKind, UnitChangeSchema } from "../gen/civicmesh/identity/v1/directory_pb";
import { steps } from "./lineage";

const change = (kind: UnitChangeKind, fromKey: string, toKey: string, weight: string) =>
  create(UnitChangeSchema, { date: "2025-07-01", kind, fromKey, toKey, weight });

it("tells one merge from its parts, whole ones first", () => {
  const [step, ...more] = steps(
    [change(UnitChangeKind.SPLIT, "b", "new", "0.387310"), change(UnitChangeKind.MERGE, "a", "new", "1.000000")],
    "new",
  );
  expect(more).toEqual([]);
  expect(step?.what).toBe("merge");
  expect(step?.parts.map((part) => part.fromKey)).toEqual(["a", "b"]);
});

it("says what a former unit became, or that it ended", () => {
  expect(steps([change(UnitChangeKind.SPLIT, "old", "x", "0.6")], "old")[0]?.what).toBe("to");
  expect(steps([change(UnitChangeKind.ABOLISH, "old", "", "1")], "old")[0]?.what).toBe("abolished");
  expect(steps([change(UnitChangeKind.RENAME, "old", "new", "1")], "new")[0]?.what).toBe("rename");
});

import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { UnitChangeKind, UnitChangeSchema, UnitSchema } from "../gen/civicmesh/identity/v1/directory_pb";
import { arriving, heirs, origins, steps } from "./lineage";

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

/** A unit that exists from one day to another and came from others, each with its share. */
const unit = (id: string, validFrom: string, validTo: string, from: Record<string, string> = {}) =>
  create(UnitSchema, {
    id,
    validFrom,
    validTo,
    predecessors: Object.entries(from).map(([unitId, weight]) => ({ unitId, weight })),
  });
const all = [
  unit("first", "2000-01-01", "2024-12-31"),
  unit("second", "2025-01-01", "2025-06-30", { first: "1" }),
  unit("small", "2025-07-01", "", { second: "0.3" }),
  unit("large", "2025-07-01", "", { second: "0.7" }),
  unit("taken", "2000-01-01", "2026-03-31"),
  unit("taker", "2000-01-01", "", { taken: "1" }),
];
const get = (id: string) => all.find((one) => one.id === id);

it("names what a unit is about to take in", () => {
  const on = (day: string) => all.filter((one) => one.validFrom <= day && (!one.validTo || day <= one.validTo));
  const names = (day: string) => arriving(on(day), get("taker") as (typeof all)[0]).map((one) => one.id);
  expect(names("2026-01-01")).toEqual(["taken"]);
  expect(names("2026-04-01")).toEqual([]);
});

it("names what exists of a unit that ended, what has most of it first", () => {
  const names = (id: string) => heirs(all, get(id) as (typeof all)[0], "2026-11-23").map((one) => one.id);
  expect(names("first"), "through one that ended, too").toEqual(["large", "small"]);
  expect(names("second")).toEqual(["large", "small"]);
  expect(names("taken")).toEqual(["taker"]);
  expect(names("large")).toEqual([]);
});

it("knows whose figures a period holds", () => {
  const names = (id: string, period: string) => origins(get(id) as (typeof all)[0], period, get).map((one) => one.id);
  expect(names("large", "2024-11")).toEqual(["first"]);
  expect(names("large", "2025-06")).toEqual(["second"]);
  expect(names("large", "2025-07")).toEqual([]);
  expect(names("large", "2025-H1"), "a period in which one ended").toEqual(["second"]);
  expect(names("large", "2025"), "a period in which it began").toEqual(["second"]);
  expect(names("taker", "2026-03")).toEqual(["taken"]);
  expect(names("taker", "2026-04")).toEqual([]);
});

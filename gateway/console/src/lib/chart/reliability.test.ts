import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { type ReliabilityBin, ReliabilityBinSchema } from "../../gen/civicmesh/forecasting/v1/forecasting_pb";
import { LARGEST, meanGap, reliabilityPoints } from "./reliability";

const bin = (count: number, meanProbability: number, metShare: number): ReliabilityBin =>
  create(ReliabilityBinSchema, { count, meanProbability, metShare });

it("places each bin by what was said and what came", () => {
  const [rare, often] = reliabilityPoints([bin(100, 0.24, 0.3), bin(400, 0.95, 0.9)]);
  expect(rare).toEqual({ x: 0.24, y: 0.3, radius: LARGEST / 2 });
  expect(often?.radius, "area, not radius, counts").toBe(LARGEST);
});

it("keeps what was hardly ever said visible", () => {
  expect(reliabilityPoints([bin(1, 0.5, 1), bin(10_000, 0.9, 0.9)])[0]?.radius).toBe(4);
});

it("weighs gaps by how often, and does not let them cancel out", () => {
  expect(meanGap([bin(30, 0.2, 0.3), bin(10, 0.8, 0.6)])).toBeCloseTo(0.125);
  expect(meanGap([])).toBe(0);
});

import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { RiskItemSchema, RiskStatus } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { riskKey, sortRisks } from "./risk";

function item(id: string, status: RiskStatus, probability?: number, outturn = "") {
  return create(RiskItemSchema, {
    indicator: { id },
    unitId: "u",
    status,
    assessment: { probability, outturn, target: { value: "100" } },
  });
}

const order = (items: ReturnType<typeof item>[], asked: string[] = []) =>
  sortRisks(items, (key) => asked.includes(key)).map((one) => one.indicator?.id);

it("puts red first and the least probable on top", () => {
  const items = [
    item("g", RiskStatus.GREEN, 0.9),
    item("r2", RiskStatus.RED, 0.2),
    item("n", RiskStatus.GREY),
    item("r1", RiskStatus.RED, 0.01),
  ];
  expect(order(items)).toEqual(["r1", "r2", "g", "n"]);
});

it("puts what was asked about after what was not, still inside red", () => {
  const items = [item("r1", RiskStatus.RED, 0.01), item("r2", RiskStatus.RED, 0.2), item("o", RiskStatus.ORANGE, 0.4)];
  expect(order(items, ["r1/u"])).toEqual(["r2", "r1", "o"]);
});

it("puts the wider gap first when probabilities are equal", () => {
  expect(order([item("near", RiskStatus.RED, 0.1, "98"), item("far", RiskStatus.RED, 0.1, "60")])).toEqual([
    "far",
    "near",
  ]);
});

it("names a line by indicator and unit, as the live stream does", () => {
  expect(riskKey(item("i", RiskStatus.RED))).toBe("i/u");
});

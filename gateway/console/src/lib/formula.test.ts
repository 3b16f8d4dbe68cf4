import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { FormulaSchema } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { formula } from "./formula";

type Terms = [code: string, weight: string][];

function written(factor: string, numerator: Terms, denominator: Terms = []): string {
  const terms = (all: Terms) => all.map(([indicatorCode, weight]) => ({ indicatorCode, weight }));
  const message = create(FormulaSchema, { factor, numerator: terms(numerator), denominator: terms(denominator) });
  return formula(message, (decimal) => decimal.replace(".", ","));
}

it("writes a formula with the brackets that it needs", () => {
  expect(written("1", [["A", "1"]])).toBe("A");
  expect(
    written("", [
      ["A", "-1"],
      ["B", "0.5"],
      ["C", "-2"],
    ]),
  ).toBe("−A + 0,5 × B − 2 × C");
  expect(written("100", [["A", "1"]], [["B", "1"]])).toBe("100 × A ÷ B");
  expect(written("100", [["A", "1"]], [["B", "-1"]])).toBe("100 × A ÷ −B");
  expect(written("1", [["A", "1"]], [["B", "2"]])).toBe("A ÷ (2 × B)");
  expect(
    written(
      "100",
      [
        ["A", "1"],
        ["B", "1"],
      ],
      [
        ["A", "1"],
        ["C", "-1"],
      ],
    ),
  ).toBe("100 × (A + B) ÷ (A − C)");
});

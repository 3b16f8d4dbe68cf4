import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { IndicatorSchema } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { amount, measure, scaled } from "./measure";

const of = (measureEn: string, measureVi: string) => create(IndicatorSchema, { measureEn, measureVi });

it("tells the measure in the reader's language", () => {
  expect(measure(of("billion VND", "tỷ đồng"), "vi")).toBe("tỷ đồng");
  expect(measure(of("billion VND", "tỷ đồng"), "en")).toBe("billion VND");
  expect(measure(create(IndicatorSchema, { measureCode: "1e9 VND" }), "en"), "kept before it was spelled out").toBe(
    "1e9 VND",
  );
});

it("joins numbers and measures as they are said", () => {
  expect(amount("8,03", "%")).toBe("8,03%");
  expect(amount("597", "người")).toBe("597 người");
});

it("scales what would not fit", () => {
  expect(scaled(of("trips", "lượt"), "vi", [329_313_240, undefined])).toEqual({
    factor: 1e-6,
    decimals: 1,
    measure: "triệu lượt",
    word: "triệu",
  });
  expect(scaled(of("trips", "lượt"), "vi", [30_075]).factor).toBe(1);
});

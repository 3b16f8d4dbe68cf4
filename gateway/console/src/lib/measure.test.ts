import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { IndicatorSchema } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { amount, measure, scaled } from "./measure";

const of = (measureCode: string, measureVi = "") => create(IndicatorSchema, { measureCode, measureVi });

it("spells out codes in English", () => {
  expect(measure(of("1e9 VND", "tỷ đồng"), "vi")).toBe("tỷ đồng");
  expect(measure(of("1e9 VND"), "en")).toBe("billion VND");
  expect(measure(of("1e3 person"), "en")).toBe("thousand people");
  expect(measure(of("bed/1e4 person"), "en")).toBe("beds per 10,000 people");
  expect(measure(of("enterprise"), "en")).toBe("enterprises");
  expect(measure(of("ug/m3"), "en")).toBe("µg/m³");
  expect(measure(of("%"), "en")).toBe("%");
});

it("joins numbers and measures as they are said", () => {
  expect(amount("8,03", "%")).toBe("8,03%");
  expect(amount("597", "người")).toBe("597 người");
});

it("scales what would not fit", () => {
  expect(scaled(of("trip", "lượt"), "vi", [329_313_240, undefined])).toEqual({
    factor: 1e-6,
    decimals: 1,
    measure: "triệu lượt",
    word: "triệu",
  });
  expect(scaled(of("trip", "lượt"), "vi", [30_075]).factor).toBe(1);
});

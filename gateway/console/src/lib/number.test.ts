import { describe, expect, it } from "vitest";
import { readNumber, typedNumber } from "./number";

describe("reading", () => {
  it.each([
    ["415.000", "415000"],
    ["415 000", "415000"],
    ["415\u00a0000", "415000"],
    ["1,234,567", "1234567"],
    ["1.234.567,8", "1234567.8"],
    ["1 234.5", "1234.5"],
    ["8,03", "8.03"],
    ["8.03", "8.03"],
    ["0,125", "0.125"],
    ["1234.567", "1234.567"],
    ["\u22123", "-3"],
    ["+007", "7"],
    [" 12 ", "12"],
  ])("%s is %s", (text, decimal) => {
    expect(readNumber(text, false)).toEqual({ decimal });
  });

  it.each(["", "nhiều", "12abc", "1e5", "1,", ",5", "1.23.456", "0.123.456", "1,2,3", "12 34", "--1", "12%"])(
    "%j is no number",
    (text) => {
      expect(readNumber(text, false)).toEqual({ problem: { kind: "notANumber" } });
    },
  );

  it("takes a per cent sign where the measure is per cent", () => {
    expect(readNumber("12,5 %", true)).toEqual({ decimal: "12.5" });
  });

  it("refuses what can be read in two ways, and says which", () => {
    expect(readNumber("-1.234", false)).toEqual({
      problem: { kind: "ambiguous", thousands: "-1234", decimals: "-1.234" },
    });
    expect(readNumber("12,345", false).problem).toMatchObject({ thousands: "12345", decimals: "12.345" });
  });

  it("refuses more digits than can be kept", () => {
    expect(readNumber("9".repeat(28), false).problem).toEqual({ kind: "tooLong" });
    expect(readNumber(" 1".repeat(30), false).problem).toEqual({ kind: "tooLong" });
  });
});

it("writes what is read back as the same number", () => {
  expect(typedNumber("415000", "vi")).toBe("415.000");
  expect(typedNumber("415000", "en")).toBe("415,000");
  expect(typedNumber("90797", "vi"), "90.797 could be decimals").toBe("90797");
  expect(typedNumber("90797.5", "vi")).toBe("90.797,5");
  expect(typedNumber("1234567", "en")).toBe("1,234,567");
  expect(typedNumber("-1234567.80", "vi")).toBe("-1.234.567,80");
  expect(typedNumber("8.03", "en")).toBe("8.03");
  for (const language of ["vi", "en"] as const) {
    for (const value of [
      "0",
      "7",
      "999",
      "1000",
      "-123456",
      "1234567",
      "1.234",
      "1.000",
      "0.125",
      "1234.567",
      "-12.5",
    ]) {
      const { decimal } = readNumber(typedNumber(value, language), false);
      expect(Number(decimal), `${value} in ${language}`).toBe(Number(value));
    }
  }
});

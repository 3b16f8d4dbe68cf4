import { describe, expect, it } from "vitest";
import { Formats, fold, holds, today, toNumber } from "./format";

const vi = new Formats("vi");
const en = new Formats("en");

describe("numbers", () => {
  it("writes them as the language does", () => {
    expect(vi.number("1234.5", 1)).toBe("1.234,5");
    expect(en.number("1234.5", 1)).toBe("1,234.5");
    expect(vi.number(-4, 1)).toBe("−4,0");
    expect(vi.signed(2.1, 1)).toBe("+2,1");
  });

  it("keeps all places of an exact one", () => {
    expect(["0.33", "12", "1.50"].map((one) => vi.exact(one, 1))).toEqual(["0,33", "12,0", "1,50"]);
  });

  it("shows a dash where there is none", () => {
    expect(vi.number("")).toBe("–");
    expect(toNumber("")).toBeUndefined();
    expect(toNumber("8.03")).toBe(8.03);
  });

  it("never claims certainty", () => {
    expect(vi.probability(0)).toBe("<\u00a01%");
    expect(vi.probability(1)).toBe(">\u00a099%");
    expect(vi.probability(0.123)).toBe("12%");
  });

  it("tells none and all of what has happened from nearly so", () => {
    expect([0, 0.004, 0.242, 0.996, 1].map((value) => vi.share(value))).toEqual([
      "0%",
      "<\u00a01%",
      "24%",
      ">\u00a099%",
      "100%",
    ]);
  });
});

describe("dates", () => {
  const evening = new Date("2026-11-25T18:30:00Z");

  it("shows the city's day and hour", () => {
    expect(vi.dateTime(evening)).toBe("26/11/2026 01:30");
    expect(vi.day(evening)).toBe("T5 26/11");
    expect(en.day("2026-11-26")).toBe("Thu 26/11");
    expect(today(evening)).toBe("2026-11-26");
  });

  it("leaves out what is clear", () => {
    expect(vi.moment(evening, new Date("2026-11-26T02:00:00Z"))).toBe("01:30");
    expect(vi.moment(evening, new Date("2026-12-26T02:00:00Z"))).toBe("26/11 01:30");
  });

  it("names periods", () => {
    expect(["2026-09", "2026-Q3", "2026-H1", "2026"].map((code) => vi.period(code))).toEqual([
      "T9/2026",
      "Quý\u00a03/2026",
      "6T\u00a0đầu\u00a02026",
      "2026",
    ]);
    expect(en.period("2026-Q3")).toBe("Q3\u00a02026");
  });
});

it("folds marks for searching", () => {
  expect(fold("Giải ngân vốn Đầu tư")).toBe("giai ngan von dau tu");
});

describe("search", () => {
  it("finds every word typed, whatever marks, case and order", () => {
    expect(holds("Phường Sài Gòn", "sai PHUONG")).toBe(true);
    expect(holds("Đặc khu Côn Đảo", " dao ")).toBe(true);
    expect(holds("Phường Sài Gòn", "saigon")).toBe(false);
    expect(holds("Phường Sài Gòn", "")).toBe(true);
  });
});

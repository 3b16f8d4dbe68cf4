// Units of measure beside numbers.

import type { Indicator } from "../gen/civicmesh/indicators/v1/indicators_pb";
import type { Language } from "./format";

const SCALES: [string, string][] = [
  ["1e9 ", "billion "],
  ["1e6 ", "million "],
  ["1e3 ", "thousand "],
];
const PLURALS: Record<string, string> = { person: "people", child: "children", min: "minutes" };

/** In English the contract has codes only, such as "1e3 person"; they are spelled out. */
export function measure(indicator: Indicator | undefined, language: Language): string {
  if (!indicator) return "";
  if (language === "vi" || !indicator.measureCode) return indicator.measureVi;
  const [code = "", word = ""] = SCALES.find(([code]) => indicator.measureCode.startsWith(code)) ?? [];
  const rest = indicator.measureCode
    .slice(code.length)
    .replace(/\/1e4 person$/, " per 10,000 people")
    .replace(/^ug\/m3$/, "µg/m³")
    .replace(/^[a-z]+(?=$| |\/)/, (one) => PLURALS[one] ?? `${one}s`);
  return word + rest;
}

/** A number and its measure as one says them: "5,54%", "597 người". */
export function amount(number: string, unit: string): string {
  if (!unit) return number;
  return unit.startsWith("%") ? number + unit : `${number} ${unit}`;
}

export interface Scaled {
  factor: number;
  decimals: number;
  measure: string;
  /** The scale alone, such as "triệu"; empty for none. */
  word: string;
}

/** Counts of tens of millions are shown in millions where space is short: "329,3 / 462,0 triệu lượt". */
export function scaled(indicator: Indicator | undefined, language: Language, values: (number | undefined)[]): Scaled {
  const unit = measure(indicator, language);
  const largest = Math.max(0, ...values.map((value) => Math.abs(value ?? 0)));
  if (largest < 1e7) return { factor: 1, decimals: indicator?.decimals ?? 0, measure: unit, word: "" };
  const word = language === "vi" ? "triệu" : "million";
  return { factor: 1e-6, decimals: 1, measure: `${word} ${unit}`, word };
}

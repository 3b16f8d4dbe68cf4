// Units of measure beside numbers.

import type { Indicator } from "../gen/civicmesh/indicators/v1/indicators_pb";
import type { Language } from "./format";

export function measure(indicator: Indicator | undefined, language: Language): string {
  if (!indicator) return "";
  return language === "vi" ? indicator.measureVi : indicator.measureEn || indicator.measureCode || indicator.measureVi;
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

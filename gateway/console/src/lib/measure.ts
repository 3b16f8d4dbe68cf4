// Units of measure beside numbers.

import type { Indicator } from "../gen/civicmesh/indicators/v1/indicators_pb";
import type { Language } from "./format";

/** In English the contract has codes only; the scales of money are spelled out. */
export function measure(indicator: Indicator | undefined, language: Language): string {
  if (!indicator) return "";
  if (language === "vi" || !indicator.measureCode) return indicator.measureVi;
  return indicator.measureCode.replace(/^1e9 /, "billion ").replace(/^1e6 /, "million ").replace(/^1e3 /, "thousand ");
}

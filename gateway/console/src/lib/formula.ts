// A formula as one writes it: "100 × HCM.06.02 ÷ (HCM.06.02 + HCM.06.03)".

import type { Formula, FormulaTerm } from "../gen/civicmesh/indicators/v1/indicators_pb";

export function formula({ factor, numerator, denominator }: Formula, write: (decimal: string) => string): string {
  const times = factor === "" || Number(factor) === 1 ? "" : `${write(factor)} × `;
  const above = sum(numerator, write);
  // A product needs no brackets, a sum that is multiplied or divided does.
  const whole = numerator.length > 1 && (times || denominator.length > 0) ? `(${above})` : above;
  if (denominator.length === 0) return times + whole;
  const below = sum(denominator, write);
  const isPlain = denominator.length === 1 && !below.includes(" ");
  return `${times}${whole} ÷ ${isPlain ? below : `(${below})`}`;
}

function sum(terms: readonly FormulaTerm[], write: (decimal: string) => string): string {
  return terms.reduce((text, { indicatorCode, weight }, at) => {
    const value = weight === "" ? 1 : Number(weight);
    const size = Math.abs(value) === 1 ? "" : `${write(String(Math.abs(value)))} × `;
    const sign = value < 0 ? "−" : "+";
    const lead = at > 0 ? `${text} ${sign} ` : value < 0 ? sign : "";
    return lead + size + indicatorCode;
  }, "");
}

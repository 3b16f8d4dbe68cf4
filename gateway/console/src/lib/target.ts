// What a plan asks for, beside its figures and in sentences.

import { Comparator, type Target } from "../gen/civicmesh/indicators/v1/indicators_pb";
import type { Messages } from "../messages/vi";

type Write = (decimal: string) => string;

/** Beside a figure: "961", "≤ 90", "220.000 – 242.000"; empty without a plan. */
export function aim(target: Target | undefined, write: Write): string {
  if (!target?.value) return "";
  const sign = target.comparator === Comparator.AT_MOST ? "≤ " : "";
  return sign + [target.value, target.upperValue].filter(Boolean).map(write).join(" – ");
}

/** In a sentence: "≥ 961", "từ 220.000 đến 242.000"; empty without a plan. */
export function goal(target: Target | undefined, write: Write, m: Messages): string {
  if (!target?.value) return "";
  if (target.upperValue) return m.indicator.fromTo(write(target.value), write(target.upperValue));
  return `${m.comparator[target.comparator]} ${write(target.value)}`.trim();
}

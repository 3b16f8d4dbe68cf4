// What a plan asks for, beside its figures and in sentences.

import type { Assessment } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { Comparator, type Target } from "../gen/civicmesh/indicators/v1/indicators_pb";
import type { Messages } from "../messages/vi";

type Bounds = Pick<Target, "comparator" | "value" | "upperValue">;
type Write = (decimal: string) => string;

/** Beside a figure: "961", "≤ 90", "220.000 – 242.000"; empty without a plan. */
export function aim(target: Bounds | undefined, write: Write): string {
  if (!target?.value) return "";
  const sign = target.comparator === Comparator.AT_MOST ? "≤\u00a0" : "";
  return sign + [target.value, target.upperValue].filter(Boolean).map(write).join("\u00a0–\u00a0");
}

/** What the rest of the period must bring, as the plan asks for it: "≤ 56", "3.615"; empty where nothing is asked. */
export function pace(assessment: Assessment | undefined, write: Write): string {
  const { target, requiredPace: value = "", requiredPaceUpper: upperValue = "" } = assessment ?? {};
  return aim({ comparator: target?.comparator ?? Comparator.UNSPECIFIED, value, upperValue }, write);
}

/** In a sentence: "≥ 961", "từ 220.000 đến 242.000"; empty without a plan. */
export function goal(target: Target | undefined, write: Write, m: Messages): string {
  if (!target?.value) return "";
  if (target.upperValue) return m.indicator.fromTo(write(target.value), write(target.upperValue));
  return `${m.comparator[target.comparator]}\u00a0${write(target.value)}`.trim();
}

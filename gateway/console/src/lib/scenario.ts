// A scenario: which coming periods can be supposed, and what is sent once some of them are.

import type { Forecast } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import type { Target } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { type NumberProblem, readNumber } from "./number";
import { parsePeriod, periodIndex } from "./period";

/** Inputs shown at most. */
const MOST = 12;

export const paths = ["low", "expected", "high"] as const;
export type Path = (typeof paths)[number];

/** A coming period and what may come, as decimals with the indicator's places. */
export type Step = { period: string } & Record<Path, string>;

/** The coming periods until the target's own period ends. */
export function openSteps(forecast: Forecast, target: Target | undefined): Step[] {
  const goal = parsePeriod(target?.period?.code ?? "");
  const places = Math.max(0, forecast.indicator?.decimals ?? 0);
  const rounded = (decimal: string) => Number(decimal).toFixed(places);
  const steps: Step[] = [];
  for (const { period, mean, low80, high80 } of forecast.points) {
    const code = period?.code ?? "";
    const parsed = parsePeriod(code);
    if (!goal || !parsed || steps.length === MOST) break;
    const end = ((goal.year * goal.perYear + goal.part) * parsed.perYear) / goal.perYear - 1;
    if (periodIndex(code) > end) break;
    steps.push({ period: code, low: rounded(low80), expected: rounded(mean), high: rounded(high80) });
  }
  return steps;
}

export interface Supposition {
  periods: string[];
  values: string[];
  /** What is wrong, by period; nothing is sent while anything is. */
  problems: Record<string, NumberProblem>;
}

/**
 * What is supposed by what was typed, by period: everything up to the last period typed into, those before it that
 * were left alone as expected, for the periods must have no gap.
 */
export function suppose(
  steps: readonly Step[],
  typed: Readonly<Record<string, string>>,
  isPercent: boolean,
): Supposition {
  const text = (step: Step) => typed[step.period]?.trim() ?? "";
  const taken = [...steps];
  while (taken.length > 0 && !text(taken[taken.length - 1] as Step)) taken.pop();
  const values: string[] = [];
  const problems: Supposition["problems"] = {};
  for (const step of taken) {
    const { decimal, problem } = text(step) ? readNumber(text(step), isPercent) : { decimal: step.expected };
    if (problem) problems[step.period] = problem;
    else values.push(decimal);
  }
  if (values.length < taken.length) return { periods: [], values: [], problems };
  return { periods: taken.map((step) => step.period), values, problems };
}

// A scenario: which coming periods can be supposed, and what is sent once some of them are.

import {
  type Assessment,
  type Forecast,
  NoPaceReason,
  type Scenario,
} from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import type { Indicator, Target } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { type NumberProblem, readNumber } from "./number";
import { type ParsedPeriod, parsePeriod, periodAt, periodIndex } from "./period";

/** Inputs shown at most. */
const MOST = 12;

export const paths = ["low", "expected", "high"] as const;
export type Path = (typeof paths)[number];

/** A coming period and what may come, as decimals with the indicator's places; empty where nothing is forecast. */
export type Step = { period: string } & Record<Path, string>;

/**
 * Whether something supposed can be judged: of what is not forecast, such as a yearly figure, all that is still to come,
 * unless a figure before is missing or it is calculated from others.
 */
export function canSuppose({ points, indicator }: Forecast, { probability, noPaceReason }: Assessment): boolean {
  if (points.length > 0) return probability !== undefined;
  return noPaceReason !== NoPaceReason.UNKNOWN && !indicator?.formula;
}

/** The last of the periods, so many a year, that a longer one holds. */
const lastOf = (goal: ParsedPeriod, perYear: number) =>
  ((goal.year * goal.perYear + goal.part) * perYear) / goal.perYear - 1;

/** What is not forecast has to be supposed as a whole. */
function blankSteps({ history }: Forecast, goal: ParsedPeriod | undefined): Step[] {
  const code = history.at(-1)?.period?.code ?? "";
  const last = parsePeriod(code);
  const count = goal && last ? lastOf(goal, last.perYear) - periodIndex(code) : 0;
  if (!last || count < 1 || count > MOST) return [];
  return Array.from({ length: count }, (_, at) => ({
    period: periodAt(periodIndex(code) + 1 + at, last.perYear),
    low: "",
    expected: "",
    high: "",
  }));
}

/** The coming periods until the target's own period ends. */
export function openSteps(forecast: Forecast, target: Target | undefined): Step[] {
  const goal = parsePeriod(target?.period?.code ?? "");
  if (forecast.points.length === 0) return blankSteps(forecast, goal);
  const places = Math.max(0, forecast.indicator?.decimals ?? 0);
  const rounded = (decimal: string) => Number(decimal).toFixed(places);
  const steps: Step[] = [];
  for (const { period, mean, low80, high80 } of forecast.points) {
    const code = period?.code ?? "";
    const parsed = parsePeriod(code);
    if (!goal || !parsed || steps.length === MOST) break;
    if (periodIndex(code) > lastOf(goal, parsed.perYear)) break;
    steps.push({ period: code, low: rounded(low80), expected: rounded(mean), high: rounded(high80) });
  }
  return steps;
}

/** A unit, or an indicator this one is calculated from, that does better than expected by so many per cent, as typed. */
export interface Move {
  id: string;
  percent: string;
}

export type Moved = "units" | "indicators";

/** What is sent. */
export interface Supposed {
  periods: string[];
  values: string[];
  movedUnitIds: string[];
  movedPercents: number[];
  movedIndicatorIds: string[];
  movedIndicatorPercents: number[];
}

/** What a scenario that was kept supposes. */
export const supposedBy = (one: Scenario): Supposed => ({
  periods: one.periods,
  values: one.values,
  movedUnitIds: one.movedUnitIds,
  movedPercents: one.movedPercents,
  movedIndicatorIds: one.movedIndicatorIds,
  movedIndicatorPercents: one.movedIndicatorPercents,
});

/** The least and the greatest value that there can be, as decimals; empty for none. */
type Limits = Pick<Indicator, "minimum" | "maximum">;

/** What is wrong with a text. */
export type Wrong = NumberProblem | { kind: "range"; least: string; most: string } | { kind: "missing" };

export interface Supposition {
  supposed: Supposed;
  /** Nothing is supposed. */
  isEmpty: boolean;
  /** What is wrong, by period or id; nothing is sent while anything is. */
  problems: Record<string, Wrong>;
}

const nothing = (): Supposed => ({
  periods: [],
  values: [],
  movedUnitIds: [],
  movedPercents: [],
  movedIndicatorIds: [],
  movedIndicatorPercents: [],
});

/**
 * What is supposed by what was typed, by period: everything up to the last period typed into, those before it that
 * were left alone as expected, for the periods must have no gap. What has no percentage is not moved.
 */
export function suppose(
  steps: readonly Step[],
  typed: Readonly<Record<string, string>>,
  moves: readonly Move[],
  isPercent: boolean,
  moved: Moved = "units",
  { minimum: least, maximum: most }: Limits = { minimum: "", maximum: "" },
): Supposition {
  const text = (step: Step) => typed[step.period]?.trim() ?? "";
  const taken = [...steps];
  while (taken.length > 0 && !text(taken[taken.length - 1] as Step)) taken.pop();
  const supposed = nothing();
  const [ids, percents] =
    moved === "units"
      ? [supposed.movedUnitIds, supposed.movedPercents]
      : [supposed.movedIndicatorIds, supposed.movedIndicatorPercents];
  const problems: Supposition["problems"] = {};
  for (const step of taken) {
    const { decimal, problem } = text(step) ? readNumber(text(step), isPercent) : { decimal: step.expected };
    if (problem) problems[step.period] = problem;
    else if (!decimal) problems[step.period] = { kind: "missing" };
    else if ((least && Number(decimal) < Number(least)) || (most && Number(decimal) > Number(most)))
      problems[step.period] = { kind: "range", least, most };
    else {
      supposed.periods.push(step.period);
      supposed.values.push(decimal);
    }
  }
  for (const move of moves.filter((one) => one.percent.trim())) {
    const { decimal, problem } = readNumber(move.percent.trim(), true);
    if (problem) problems[move.id] = problem;
    else if (Number(decimal) < -100 || Number(decimal) > 1000)
      problems[move.id] = { kind: "range", least: "-100", most: "1000" };
    else {
      ids.push(move.id);
      percents.push(Number(decimal));
    }
  }
  if (Object.keys(problems).length > 0) return { supposed: nothing(), isEmpty: true, problems };
  const isEmpty = supposed.periods.length === 0 && ids.length === 0;
  return { supposed, isEmpty, problems };
}

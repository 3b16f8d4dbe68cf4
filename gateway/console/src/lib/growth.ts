// Growth on the same period of the year before, as it is said of each measure.

import type { Indicator, Observation } from "../gen/civicmesh/indicators/v1/indicators_pb";
import type { Messages } from "../messages/vi";
import { type Formats, toNumber } from "./format";
import { contains, parsePeriod, periodAt, periodIndex } from "./period";

/** Whether the figures are per cent, whose changes are points. */
export function isRate(indicator: Indicator | undefined): boolean {
  return indicator?.measureCode.startsWith("%") ?? false;
}

/** "−1,4 điểm %" */
export function points(change: number, decimals: number, m: Messages, f: Formats): string {
  return `${f.signed(change, Math.max(1, decimals))} ${m.indicator.points}`;
}

/** "−7,2%", or of a rate in points; empty where that is not known. */
export function growth(
  { indicator, history }: { indicator?: Indicator; history: readonly Observation[] },
  { code, value, percent }: { code: string; value: string; percent: string },
  m: Messages,
  f: Formats,
): string {
  if (!percent) return "";
  if (!isRate(indicator)) return `${f.signed(Number(percent), 1)}%`;
  const perYear = parsePeriod(code)?.perYear ?? 1;
  const before = periodAt(periodIndex(code) - perYear, perYear);
  // Of a quarter or a year its closing figure.
  const base = toNumber(history.findLast((one) => contains(before, one.period?.code ?? ""))?.value);
  return base === undefined ? "" : points(Number(value) - base, indicator?.decimals ?? 0, m, f);
}

/** Whether figures run up from each year's beginning, so that one period cannot be held against the one before. */
export function isRunningTotal(history: readonly Observation[]): boolean {
  let turns = 0;
  for (const [at, one] of history.entries()) {
    const before = history[at - 1];
    const [from, to] = [toNumber(before?.value), toNumber(one.value)];
    if (from === undefined || to === undefined) continue;
    const isTurn = before?.period?.code.slice(0, 4) !== one.period?.code.slice(0, 4);
    if (isTurn ? to >= from / 2 : to < from) return false;
    if (isTurn) turns += 1;
  }
  return turns > 0;
}

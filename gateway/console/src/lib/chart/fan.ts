// What the fan chart draws, worked out from a forecast.

import type { Forecast } from "../../gen/civicmesh/forecasting/v1/forecasting_pb";
import { type Target, TargetKind, YearRule } from "../../gen/civicmesh/indicators/v1/indicators_pb";
import { toNumber } from "../format";
import { contains, parsePeriod, periodAt, periodIndex } from "../period";

export interface FanPoint {
  period: string;
  actual?: number | undefined;
  mean?: number | undefined;
  low80?: number | undefined;
  high80?: number | undefined;
  low95?: number | undefined;
  high95?: number | undefined;
  plan?: number | undefined;
}

/** Every period from the first figure to the last forecast, gaps included. */
export function fanPoints(forecast: Forecast, target: Target | undefined, cumulative: boolean): FanPoint[] {
  const perYear = parsePeriod(forecast.history[0]?.period?.code ?? "")?.perYear;
  if (!perYear) return [];
  const points = new Map<number, FanPoint>();
  const at = (code: string) => {
    const index = periodIndex(code);
    const point = points.get(index) ?? { period: code };
    points.set(index, point);
    return point;
  };
  for (const one of forecast.history) if (one.period) at(one.period.code).actual = toNumber(one.value);
  for (const one of forecast.points) {
    if (!one.period) continue;
    Object.assign(at(one.period.code), {
      mean: toNumber(one.mean),
      low80: toNumber(one.low80),
      high80: toNumber(one.high80),
      low95: toNumber(one.low95),
      high95: toNumber(one.high95),
    });
  }
  const indexes = [...points.keys()];
  const all: FanPoint[] = [];
  for (let i = Math.min(...indexes); i <= Math.max(...indexes); i += 1) {
    all.push(points.get(i) ?? { period: periodAt(i, perYear) });
  }
  const sums = forecast.indicator?.yearRule === YearRule.SUM;
  if (cumulative && sums) accumulate(all);
  plan(all, target, sums && !cumulative ? perYear : 1);
  return all;
}

/** Turns periods into running totals of the year; intervals cannot be added, so they go. */
function accumulate(points: FanPoint[]): void {
  let year = "";
  let actual: number | undefined = 0;
  let mean: number | undefined = 0;
  for (const point of points) {
    if (point.period.slice(0, 4) !== year) {
      year = point.period.slice(0, 4);
      actual = mean = 0;
    }
    const own = point.actual ?? point.mean;
    mean = mean === undefined || own === undefined ? undefined : mean + own;
    actual = actual === undefined || point.actual === undefined ? undefined : actual + point.actual;
    Object.assign(point, { actual, mean: point.actual === undefined ? mean : undefined });
    Object.assign(point, { low80: undefined, high80: undefined, low95: undefined, high95: undefined });
  }
}

/** The plan is a series: it holds in the periods of its own period only. */
function plan(points: FanPoint[], target: Target | undefined, parts: number): void {
  const value = toNumber(target?.value);
  const code = target?.period?.code ?? "";
  if (value === undefined) return;
  const span = parsePeriod(code)?.perYear ?? 1;
  for (const point of points) if (contains(code, point.period)) point.plan = value / Math.max(1, parts / span);
}

/** The first of these plans that there is, else base plans first, as given by the server. */
export function mainTarget(forecast: Forecast, ...ids: (string | null | undefined)[]): Target | undefined {
  const targets = forecast.assessments.flatMap((one) => one.target ?? []);
  const named = ids.flatMap((id) => targets.filter((one) => one.id === id));
  return named[0] ?? targets.find((one) => one.kind === TargetKind.BASE) ?? targets[0];
}

// How well forecasts came true, in words.

import type { ForecastAccuracy, ReliabilityBin } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import type { Messages } from "../messages/vi";
import type { Formats } from "./format";

/** Fewer than so many plans judged tell nothing for sure. */
const FEW = 30;
/** Per cent by which errors must differ to be called so. */
const ALIKE = 3;

/** What to remember: about the probability stated most often, else about the next period, else that nothing is known. */
export function takeaway({ bins, steps }: ForecastAccuracy, m: Messages, f: Formats): string {
  const [often] = bins.toSorted((a, b) => b.count - a.count);
  if (often) return m.accuracy.bin(f.number(often.count), range(often, f), f.share(often.metShare));
  const [next] = steps;
  if (next) return m.accuracy.step(f.number(next.count), f.number(next.step), f.share(next.coverage80));
  return m.accuracy.none;
}

export function isFew({ bins }: ForecastAccuracy): boolean {
  return bins.length > 0 && bins.reduce((sum, bin) => sum + bin.count, 0) < FEW;
}

/** "20–30%" */
export function range({ low, high }: ReliabilityBin, f: Formats): string {
  return `${f.number(low * 100)}–${f.number(high * 100)}%`;
}

/** "sai ít hơn 23%": an error relative to that of taking the same period of the year before. */
export function errorWords(relative: number, m: Messages, f: Formats): string {
  const percent = Math.round((relative - 1) * 100);
  if (Math.abs(percent) < ALIKE) return m.accuracy.errorSame;
  return percent < 0 ? m.accuracy.errorLess(f.number(-percent)) : m.accuracy.errorMore(f.number(percent));
}

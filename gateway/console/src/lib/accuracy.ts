// How well forecasts came true, in words.

import type { ForecastAccuracy, ReliabilityBin } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import type { Messages } from "../messages/vi";
import type { Formats } from "./format";

/** Fewer than so many decided plans tell nothing for sure. */
const FEW = 10;
/** Stated and met on the whole, differing by less than this, fit. */
const FITTING = 0.05;
/** Per cent by which errors must differ to be called so. */
const ALIKE = 3;

/** What to remember: what was said and came on the whole, else about the next period, else that nothing is known. */
export function takeaway({ bins, steps, planCount }: ForecastAccuracy, m: Messages, f: Formats): string {
  const all = whole(bins);
  if (all) {
    const [times, plans] = [f.number(all.count), f.number(planCount)];
    const words = verdict(all.met - all.stated, all.met, planCount, m);
    const bias = m.accuracy.bias(times, plans, f.probability(all.stated), f.share(all.met), words);
    const [worst] = bins.toSorted((a, b) => weight(b) - weight(a));
    if (!worst || bins.length === 1) return bias;
    // Joined, so that no line ends within it.
    const bin = range(worst, f).replace("–", "–\u2060");
    return `${bias} ${m.accuracy.bin(f.number(worst.count), bin, f.share(worst.metShare))}`;
  }
  const [next] = steps;
  if (next) return m.accuracy.step(f.number(next.count), f.number(next.step), f.share(next.coverage80));
  return m.accuracy.none;
}

/** What a gap means: two standard errors of the share that so many plans meet may be chance. */
function verdict(gap: number, met: number, plans: number, m: Messages): string {
  if (plans < FEW) return m.accuracy.chance;
  if (Math.abs(gap) < FITTING) return m.accuracy.fitting;
  if (Math.abs(gap) <= 2 * Math.sqrt(constantBrier(met) / Math.max(plans, 1))) return m.accuracy.chance;
  return gap > 0 ? m.accuracy.cautious : m.accuracy.confident;
}

/** How often plans were spoken of, what was stated on average, and the share met; nothing while no plan was decided. */
export function whole(bins: readonly ReliabilityBin[]): { count: number; stated: number; met: number } | undefined {
  const sum = (of: (bin: ReliabilityBin) => number) => bins.reduce((total, bin) => total + bin.count * of(bin), 0);
  const count = sum(() => 1);
  if (count === 0) return undefined;
  return { count, stated: sum((bin) => bin.meanProbability) / count, met: sum((bin) => bin.metShare) / count };
}

/** The Brier score of always saying the share that comes. */
export function constantBrier(share: number): number {
  return share * (1 - share);
}

export function isFew({ bins, planCount }: ForecastAccuracy): boolean {
  return bins.length > 0 && planCount < FEW;
}

/** How much a bin adds to what is wrong on the whole. */
function weight(bin: ReliabilityBin): number {
  return bin.count * Math.abs(bin.metShare - bin.meanProbability);
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

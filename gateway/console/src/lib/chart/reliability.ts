// What the reliability diagram draws, worked out from how often which probability was stated.

import type { ReliabilityBin } from "../../gen/civicmesh/forecasting/v1/forecasting_pb";

/** The radius of the most frequent probability, in pixels; the rest follow by area. */
export const LARGEST = 18;
const SMALLEST = 4;

export interface ReliabilityPoint {
  /** The probability stated, 0 to 1. */
  x: number;
  /** The share met, 0 to 1. */
  y: number;
  radius: number;
}

/** One point per bin; rare ones stay large enough to be seen. */
export function reliabilityPoints(bins: readonly ReliabilityBin[]): ReliabilityPoint[] {
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  return bins.map((bin) => ({
    x: bin.meanProbability,
    y: bin.metShare,
    radius: Math.max(SMALLEST, LARGEST * Math.sqrt(bin.count / most)),
  }));
}

/** How far the shares met lie from the probabilities stated on average, each as often as it was stated. */
export function meanGap(bins: readonly ReliabilityBin[]): number {
  const times = bins.reduce((sum, bin) => sum + bin.count, 0);
  const gaps = bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.metShare - bin.meanProbability), 0);
  return times ? gaps / times : 0;
}

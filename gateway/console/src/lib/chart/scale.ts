// A linear scale with round ticks.

export interface Scale {
  (value: number): number;
  ticks: number[];
  /** Decimals that the ticks need. */
  decimals: number;
}

export function linear([low, high]: [number, number], [from, to]: [number, number], count = 5): Scale {
  const span = high - low || Math.abs(high) || 1;
  const top = high === low ? low + span : high;
  const step = roundStep(span / count);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9) + 0; i * step <= top + step * 1e-9; i += 1) ticks.push(i * step);
  const map = (value: number) => from + ((value - low) / (top - low)) * (to - from);
  return Object.assign(map, { ticks, decimals: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) });
}

/** Widens a range to whole steps. */
export function nice([low, high]: [number, number], count = 5): [number, number] {
  const step = roundStep((high - low || Math.abs(high) || 1) / count);
  return [Math.floor(low / step) * step, Math.ceil(high / step) * step];
}

/** 1, 2 or 5 times a power of ten, at least `rough`. */
function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10) * power;
}

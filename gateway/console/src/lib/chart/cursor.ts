// The cursor with which a chart is read point by point.

/** Where a key takes it; undefined when the key is not for it. */
export function moved(key: string, from: number, count: number): number | undefined {
  const step = { ArrowRight: 1, ArrowLeft: -1, Home: -count, End: count }[key];
  return step === undefined ? undefined : Math.min(count - 1, Math.max(0, from + step));
}

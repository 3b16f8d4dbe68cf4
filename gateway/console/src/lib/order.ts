// The order of a live list, which stands still while somebody points at it.

/** Ids in the order shown: while held, known ones keep their places, gone ones leave, new ones go last. */
export function arrange(shown: readonly string[], wanted: readonly string[], held: boolean): string[] {
  if (!held) return [...wanted];
  const there = new Set(wanted);
  const before = new Set(shown);
  return [...shown.filter((id) => there.has(id)), ...wanted.filter((id) => !before.has(id))];
}

/** How many ids stand elsewhere than they should. */
export function displaced(shown: readonly string[], wanted: readonly string[]): number {
  return wanted.filter((id, i) => shown[i] !== id).length;
}

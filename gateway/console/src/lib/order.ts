// The order of lists, also of live ones, which stand still while somebody points at them.

/** By the first number in which two differ. */
export function sorted<T>(list: readonly T[], by: (one: T) => number[]): T[] {
  const keyed = list.map((one) => ({ one, key: by(one) }));
  const difference = (a: number[], b: number[]) => a.reduce((found, key, at) => found || key - (b[at] ?? 0), 0);
  return keyed.sort((a, b) => difference(a.key, b.key)).map(({ one }) => one);
}

/** Ids in the order shown: while held, known ones keep their places, gone ones leave, new ones go last. */
export function arrange(shown: readonly string[], wanted: readonly string[], held: boolean): string[] {
  if (!held) return [...wanted];
  const there = new Set(wanted);
  const before = new Set(shown);
  return [...shown.filter((id) => there.has(id)), ...wanted.filter((id) => !before.has(id))];
}

/** The fewest ids that must move, come or leave for the order to be as it should. */
export function displaced(shown: readonly string[], wanted: readonly string[]): Set<string> {
  const places = new Map(wanted.map((id, place) => [id, place]));
  const there = shown.filter((id) => places.has(id));
  // The longest part that stands in order may stay: for each length the last of the lowest, and the one before each.
  const ends: string[] = [];
  const before = new Map<string, string | undefined>();
  const place = (id: string | undefined) => places.get(id ?? "") ?? -1;
  for (const id of there) {
    const length = ends.findLastIndex((end) => place(end) < place(id)) + 1;
    before.set(id, ends[length - 1]);
    ends[length] = id;
  }
  const moved = new Set([...shown, ...wanted]);
  for (let id = ends.at(-1); id !== undefined; id = before.get(id)) moved.delete(id);
  return moved;
}

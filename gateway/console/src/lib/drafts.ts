// Texts being typed, kept on this device so that neither an error nor an ended session loses them.

const PREFIX = "civicmesh.draft.";

export function readDraft<T extends object>(key: string, empty: T): T {
  try {
    return { ...empty, ...(JSON.parse(localStorage.getItem(PREFIX + key) ?? "{}") as Partial<T>) };
  } catch {
    return empty;
  }
}

export function keepDraft(key: string, draft: object): void {
  const blank = Object.values(draft).every((value) => value === "" || value === undefined);
  if (blank) localStorage.removeItem(PREFIX + key);
  else localStorage.setItem(PREFIX + key, JSON.stringify(draft));
}

export function dropDraft(key: string): void {
  localStorage.removeItem(PREFIX + key);
}

/** Leaves nothing behind for the next person at this device. */
export function dropAllDrafts(): void {
  for (const key of Object.keys(localStorage)) if (key.startsWith(PREFIX)) localStorage.removeItem(key);
}

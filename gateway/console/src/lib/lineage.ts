// What became of units, gathered into what can be said in one sentence each.

import { type UnitChange, UnitChangeKind } from "../gen/civicmesh/identity/v1/directory_pb";

export interface Step {
  date: string;
  what: "merge" | "split" | "rename" | "to" | "abolished";
  parts: UnitChange[];
}

/** The steps of one unit, the newest first. */
export function steps(changes: readonly UnitChange[], key: string): Step[] {
  const found = new Map<string, Step>();
  for (const change of changes) {
    const incoming = change.toKey === key;
    const id = `${change.date} ${incoming}`;
    const step: Step = found.get(id) ?? { date: change.date, what: incoming ? "split" : "to", parts: [] };
    step.parts.push(change);
    if (!change.toKey) step.what = "abolished";
    else if (incoming && change.kind === UnitChangeKind.RENAME) step.what = "rename";
    else if (incoming && (change.kind === UnitChangeKind.MERGE || step.parts.length > 1)) step.what = "merge";
    found.set(id, step);
  }
  for (const step of found.values()) step.parts.sort((a, b) => Number(b.weight) - Number(a.weight));
  return [...found.values()].sort((a, b) => b.date.localeCompare(a.date));
}

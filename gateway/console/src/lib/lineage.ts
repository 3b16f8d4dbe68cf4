// What became of units, gathered into what can be said in one sentence each.

import { type Unit, type UnitChange, UnitChangeKind } from "../gen/civicmesh/identity/v1/directory_pb";
import { today } from "./format";
import { days } from "./period";

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

const endsBefore = (old: Unit, unit: Unit) => !!old.validTo && (!unit.validTo || old.validTo < unit.validTo);

/** The units that exist and came from one that ended, directly or through others; first what has most of it. */
export function heirs(all: readonly Unit[], old: Unit, on = today()): Unit[] {
  const share = (unit: Unit) => Number(unit.predecessors.find((one) => one.unitId === old.id)?.weight ?? 0);
  const next = all.filter((unit) => share(unit) > 0 && endsBefore(old, unit)).sort((a, b) => share(b) - share(a));
  const found = next.flatMap((unit) => (unit.validTo && unit.validTo < on ? heirs(all, unit, on) : unit));
  return [...new Set(found)];
}

/** Of the units there are those that will end and go into this one, the first to end first. */
export function arriving(all: readonly Unit[], unit: Unit): Unit[] {
  const found = all.filter((one) => one.validTo && unit.predecessors.some(({ unitId }) => unitId === one.id));
  return found.sort((a, b) => a.validTo.localeCompare(b.validTo));
}

/** The units that ended of whose figures one of a period is made. */
export function origins(unit: Unit, period: string, get: (id: string) => Unit | undefined): Unit[] {
  const [first, last] = days(period);
  const old = unit.predecessors.flatMap((one) => get(one.unitId) ?? []);
  const found = old
    .filter((one) => endsBefore(one, unit) && first <= one.validTo)
    .flatMap((one) => [...(one.validFrom <= last ? [one] : []), ...origins(one, period, get)]);
  return [...new Set(found)];
}

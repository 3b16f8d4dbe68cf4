// Calendar periods as the contract writes them: "2026", "2026-H1", "2026-Q3", "2026-09".

export interface ParsedPeriod {
  year: number;
  /** Periods of this frequency in a year. */
  perYear: 1 | 2 | 4 | 12;
  /** Place in the year, from 1. */
  part: number;
}

export function parsePeriod(code: string): ParsedPeriod | undefined {
  const match = /^(\d{4})(?:-(?:H([12])|Q([1-4])|(0[1-9]|1[0-2])))?$/.exec(code);
  if (!match) return undefined;
  const year = Number(match[1]);
  if (match[2]) return { year, perYear: 2, part: Number(match[2]) };
  if (match[3]) return { year, perYear: 4, part: Number(match[3]) };
  if (match[4]) return { year, perYear: 12, part: Number(match[4]) };
  return { year, perYear: 1, part: 1 };
}

/** A number that grows by one from period to period of the same frequency. */
export function periodIndex(code: string): number {
  const period = parsePeriod(code);
  return period ? period.year * period.perYear + period.part - 1 : Number.NaN;
}

export function periodAt(index: number, perYear: ParsedPeriod["perYear"]): string {
  const year = Math.floor(index / perYear);
  const part = (index % perYear) + 1;
  if (perYear === 1) return `${year}`;
  if (perYear === 2) return `${year}-H${part}`;
  if (perYear === 4) return `${year}-Q${part}`;
  return `${year}-${String(part).padStart(2, "0")}`;
}

/** Its first and its last day; the last is the 31st of any month, for days are compared as texts. */
export function days(code: string): [string, string] {
  const { year, perYear, part } = parsePeriod(code) ?? { year: 0, perYear: 1, part: 1 };
  const month = (number: number) => `${year}-${String(number).padStart(2, "0")}`;
  const length = 12 / perYear;
  return [`${month((part - 1) * length + 1)}-01`, `${month(part * length)}-31`];
}

/** Whether the longer period `outer` holds all of `inner`. */
export function contains(outer: string, inner: string): boolean {
  const a = parsePeriod(outer);
  const b = parsePeriod(inner);
  if (!a || !b || a.year !== b.year || b.perYear < a.perYear) return false;
  const ratio = b.perYear / a.perYear;
  return Math.ceil(b.part / ratio) === a.part;
}

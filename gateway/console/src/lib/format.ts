// Numbers, dates and periods for people. Everything is shown in the city's own time.

import { parsePeriod } from "./period";

export type Language = "vi" | "en";

const ZONE = "Asia/Ho_Chi_Minh";

interface Stamp {
  seconds: bigint;
  nanos: number;
}

/** The moment of a timestamp as the contract sends it. */
export function toDate(time: Stamp | Date): Date {
  return time instanceof Date ? time : new Date(Number(time.seconds) * 1000 + time.nanos / 1e6);
}

/** A decimal of the contract as a number; undefined when there is none. */
export function toNumber(decimal: string | undefined): number | undefined {
  if (decimal === undefined || decimal === "") return undefined;
  const value = Number(decimal);
  return Number.isFinite(value) ? value : undefined;
}

/** Folds marks and case, so that "giai ngan" finds "Giải ngân". */
export function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").replace(/đ/g, "d").replace(/Đ/g, "D").toLowerCase();
}

/** Whether a text holds every word that was typed, whatever marks and case. */
export function holds(text: string, typed: string): boolean {
  const folded = fold(text);
  return fold(typed)
    .split(/\s+/)
    .every((word) => folded.includes(word));
}

export class Formats {
  readonly locale: string;
  readonly collator: Intl.Collator;
  #numbers = new Map<number, Intl.NumberFormat>();
  #dates = new Map<string, Intl.DateTimeFormat>();

  constructor(readonly language: Language) {
    this.locale = language === "vi" ? "vi-VN" : "en-GB";
    this.collator = new Intl.Collator(language, { numeric: true });
  }

  number(value: number | string | undefined, decimals = 0): string {
    const number = typeof value === "string" ? toNumber(value) : value;
    if (number === undefined) return "–";
    let format = this.#numbers.get(decimals);
    if (!format) {
      format = new Intl.NumberFormat(this.locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
      this.#numbers.set(decimals, format);
    }
    return format.format(number).replace("-", "−");
  }

  /** A decimal with all the places that it has, and so many at least. */
  exact(value: string, decimals = 0): string {
    const places = value.split(".")[1]?.length ?? 0;
    return this.number(value, Math.max(places, decimals));
  }

  /** With its sign, for changes. */
  signed(value: number, decimals = 0): string {
    return `${value > 0 ? "+" : ""}${this.number(value, decimals)}`;
  }

  /** Never "0%" or "100%": nothing to come is certain. */
  probability(value: number): string {
    if (value < 0.01) return "<\u00a01%";
    if (value > 0.99) return ">\u00a099%";
    return `${Math.round(value * 100)}%`;
  }

  /** A share of what has happened, which may well be none or all. */
  share(value: number): string {
    return value === 0 || value === 1 ? `${value * 100}%` : this.probability(value);
  }

  /** 26/11/2026; takes calendar dates ("2026-11-26") too. */
  date(value: Stamp | Date | string): string {
    return this.#date({ day: "2-digit", month: "2-digit", year: "numeric" }, value);
  }

  /** T5 26/11 */
  day(value: Stamp | Date | string): string {
    const weekday = this.#date({ weekday: this.language === "vi" ? "narrow" : "short" }, value);
    return `${weekday} ${this.#dayMonth(value)}`;
  }

  /** 09:41 */
  time(value: Stamp | Date): string {
    return this.#date({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }, value);
  }

  /** 26/11/2026 09:41 */
  dateTime(value: Stamp | Date): string {
    return `${this.date(value)} ${this.time(value)}`;
  }

  /** 09:41 today, 26/11 09:41 this year, else 26/11/2025. */
  moment(value: Stamp | Date, now = new Date()): string {
    if (this.date(value) === this.date(now)) return this.time(value);
    if (this.date(value).slice(6) === this.date(now).slice(6)) {
      return `${this.#dayMonth(value)} ${this.time(value)}`;
    }
    return this.date(value);
  }

  /** T9/2026, Quý 3/2026, 6T đầu 2026, 2026; never broken across lines. */
  period(code: string | undefined): string {
    return this.#period(code).replaceAll(" ", "\u00a0");
  }

  #period(code: string | undefined): string {
    const period = code ? parsePeriod(code) : undefined;
    if (!period) return code ?? "";
    const { year, perYear, part } = period;
    const vi = this.language === "vi";
    if (perYear === 12) {
      return vi ? `T${part}/${year}` : this.#date({ month: "short", year: "numeric" }, `${code}-15`);
    }
    if (perYear === 4) return vi ? `Quý ${part}/${year}` : `Q${part} ${year}`;
    if (perYear === 2) return vi ? `6T ${part === 1 ? "đầu" : "cuối"} ${year}` : `H${part} ${year}`;
    return `${year}`;
  }

  // Cut from the whole date, as without the year vi-VN writes 26-11.
  #dayMonth(value: Stamp | Date | string): string {
    return this.date(value).slice(0, 5);
  }

  #date(options: Intl.DateTimeFormatOptions, value: Stamp | Date | string): string {
    const key = JSON.stringify(options);
    let format = this.#dates.get(key);
    if (!format) {
      format = new Intl.DateTimeFormat(this.locale, { ...options, timeZone: ZONE });
      this.#dates.set(key, format);
    }
    return format.format(typeof value === "string" ? new Date(`${value}T12:00:00+07:00`) : toDate(value));
  }
}

/** Today in the city, "2026-11-26". */
export function today(now = new Date()): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE }).format(now);
}

/** The beginning of the day so many days ago in the city. */
export function daysAgo(days: number, now = new Date()): Date {
  return new Date(new Date(`${today(now)}T00:00:00+07:00`).getTime() - days * 86_400_000);
}

/** 17:00 in the city on a calendar date, the end of office hours. */
export function endOfOffice(date: string): Date {
  return new Date(`${date}T17:00:00+07:00`);
}

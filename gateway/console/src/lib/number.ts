// Numbers as people type them, read by the rules by which the server reads reported figures
// (services/indicators/src/number.rs): what can be read in two ways is refused.

const LONGEST = 40;
/** More digits than this are not kept exactly anywhere. */
const DIGITS = 27;
/** Every kind of blank that people and programs put between groups. */
const BLANKS = /[ \u00a0\u2009\u202f]/g;
const NONE: NumberProblem = { kind: "notANumber" };

/** Why a text is not taken as a number; the two readings of an ambiguous one are decimals. */
export type NumberProblem =
  | { kind: "notANumber" }
  | { kind: "tooLong" }
  | { kind: "ambiguous"; thousands: string; decimals: string };

export type Reading = { decimal: string; problem?: never } | { decimal?: never; problem: NumberProblem };

/** Reads "415.000", "8,03", "8.03", "1 234,5", "1.234.567,8", "-3", and "12%" where the measure is per cent. */
export function readNumber(text: string, isPercent: boolean): Reading {
  let rest = text.trim();
  if (rest.length > LONGEST) return { problem: { kind: "tooLong" } };
  if (rest.endsWith("%")) {
    if (!isPercent) return { problem: NONE };
    rest = rest.slice(0, -1).trimEnd();
  }
  const sign = /^[-\u2212]/.test(rest) ? "-" : "";
  const reading = unsigned(rest.replace(/^[-\u2212+]/, ""));
  if (reading.decimal !== undefined) return { decimal: sign + reading.decimal };
  const { problem } = reading;
  if (problem.kind !== "ambiguous") return reading;
  return { problem: { ...problem, thousands: sign + problem.thousands, decimals: sign + problem.decimals } };
}

function unsigned(typed: string): Reading {
  const text = typed.replace(BLANKS, " ");
  const separators = text.replace(/[0-9]/g, "");
  const last = separators.at(-1);
  if (last === undefined) return decimal(text, "");
  if (/[^., ]/.test(separators)) return { problem: NONE };
  if (last === " " || separators.indexOf(last) < separators.length - 1) return decimal(ungroup(text, last), "");
  const [whole, fraction] = [text.slice(0, text.lastIndexOf(last)), text.slice(text.lastIndexOf(last) + 1)];
  if (!whole || !fraction) return { problem: NONE };
  const group = separators.charAt(0);
  if (group !== last) return decimal(ungroup(whole, group), fraction);
  const joined = ungroup(text, last);
  if (joined === undefined) return decimal(whole, fraction);
  if (fraction === "000") return decimal(joined, "");
  return { problem: { kind: "ambiguous", thousands: joined, decimals: `${whole}.${fraction}` } };
}

/** Joins groups of thousands: one to three digits without a leading zero, then exactly three each. */
function ungroup(text: string, separator: string): string | undefined {
  const [first = "", ...groups] = text.split(separator);
  const isGrouped = /^[1-9][0-9]{0,2}$/.test(first) && groups.every((group) => /^[0-9]{3}$/.test(group));
  return isGrouped ? first + groups.join("") : undefined;
}

function decimal(whole: string | undefined, fraction: string): Reading {
  if (!whole || !/^[0-9]+$/.test(whole) || !/^[0-9]*$/.test(fraction)) return { problem: NONE };
  if (whole.length + fraction.length > DIGITS) return { problem: { kind: "tooLong" } };
  const digits = whole.replace(/^0+(?=[0-9])/, "");
  return { decimal: fraction ? `${digits}.${fraction}` : digits };
}

/** Writes a decimal so that it can be typed on and is read back as itself: "415.000", "90797", "8,03". */
export function typedNumber(value: string, language: "vi" | "en"): string {
  const [group, mark] = language === "vi" ? [".", ","] : [",", "."];
  const [whole = "", fraction = ""] = value.split(".");
  const grouped = whole.replace(/\B(?=([0-9]{3})+$)/g, group);
  // A single group that could be decimals is not set off.
  if (!fraction) return readNumber(grouped, false).problem ? whole : grouped;
  // Three places after fewer than four digits could be thousands.
  const places = fraction.length === 3 && grouped === whole ? `${fraction}0` : fraction;
  return `${grouped}${mark}${places}`;
}

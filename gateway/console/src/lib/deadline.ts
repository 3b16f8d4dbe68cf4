// How long until a deadline, or since.

import { type Explanation, ExplanationState } from "../gen/civicmesh/explanations/v1/explanations_pb";
import type { Messages } from "../messages/vi";
import { toDate } from "./format";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** "còn 1 ngày 4 giờ", "trễ 5 ngày". */
export function remaining(deadline: Parameters<typeof toDate>[0], m: Messages, now = Date.now()): string {
  const left = toDate(deadline).getTime() - now;
  const text = span(Math.abs(left), m);
  return left < 0 ? m.explanation.late(text) : m.explanation.left(text);
}

/** Where a request stands and, while the unit has to act, how long it still has: "Đã xem, còn 2 ngày". */
export function standing(request: Explanation, m: Messages): string {
  const state = m.explanation.shortStates[request.state] ?? "";
  const running = [ExplanationState.SENT, ExplanationState.SEEN, ExplanationState.RETURNED].includes(request.state);
  return running && request.deadline ? `${state}, ${remaining(request.deadline, m)}` : state;
}

function span(milliseconds: number, m: Messages): string {
  const days = Math.floor(milliseconds / DAY);
  const hours = Math.floor((milliseconds % DAY) / HOUR);
  if (days >= 3) return m.explanation.days(days);
  if (days >= 1) return hours ? `${m.explanation.days(days)} ${m.explanation.hours(hours)}` : m.explanation.days(days);
  if (hours >= 1) return m.explanation.hours(hours);
  return m.explanation.minutes(Math.max(1, Math.floor(milliseconds / 60_000)));
}

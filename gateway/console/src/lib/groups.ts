// Explanation requests by urgency, as leaders and units work through them.

import { type Explanation, ExplanationState } from "../gen/civicmesh/explanations/v1/explanations_pb";
import { toDate, today } from "./format";

export type Group = "overdue" | "review" | "today" | "week" | "later" | "closed";

export const groupOrder: readonly Group[] = ["overdue", "review", "today", "week", "later", "closed"];

export function groupOf(explanation: Explanation, now = new Date()): Group {
  if ([ExplanationState.ACCEPTED, ExplanationState.WITHDRAWN].includes(explanation.state)) return "closed";
  if (explanation.state === ExplanationState.ANSWERED) return "review";
  if (explanation.overdue) return "overdue";
  if (!explanation.deadline) return "later";
  const due = toDate(explanation.deadline);
  if (today(due) <= today(now)) return "today";
  return due.getTime() - now.getTime() <= 7 * 86_400_000 ? "week" : "later";
}

// What a line of the risk board says, in words and signs.

import type { Explanation } from "../gen/civicmesh/explanations/v1/explanations_pb";
import { type RiskItem, RiskStatus } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { toNumber } from "./format";
import type { IconName } from "./icons";

export type Tone = "red" | "orange" | "green" | "grey";

export const looks: Record<RiskStatus, { tone: Tone; icon: IconName }> = {
  [RiskStatus.UNSPECIFIED]: { tone: "grey", icon: "none" },
  [RiskStatus.RED]: { tone: "red", icon: "danger" },
  [RiskStatus.ORANGE]: { tone: "orange", icon: "warn" },
  [RiskStatus.GREEN]: { tone: "green", icon: "ok" },
  [RiskStatus.GREY]: { tone: "grey", icon: "none" },
  [RiskStatus.OVERDUE]: { tone: "orange", icon: "late" },
  [RiskStatus.MET]: { tone: "green", icon: "check" },
  [RiskStatus.MISSED]: { tone: "red", icon: "missed" },
};

/** The order in which the board shows the colours. */
export const statusOrder: readonly RiskStatus[] = [
  RiskStatus.RED,
  RiskStatus.MISSED,
  RiskStatus.OVERDUE,
  RiskStatus.ORANGE,
  RiskStatus.GREEN,
  RiskStatus.MET,
  RiskStatus.GREY,
];

export function riskKey(item: { indicator?: { id: string }; unitId: string }): string {
  return `${item.indicator?.id ?? ""}/${item.unitId}`;
}

export function explanationKey(explanation: Explanation): string {
  return `${explanation.indicatorId}/${explanation.subjectUnitId}`;
}

/** The figure that is held against the plan. */
export function actual(item: RiskItem): number | undefined {
  return toNumber(item.yearToDate) ?? toNumber(item.lastObservation?.value);
}

/** How far the expected outturn is from the plan, as a share of it. */
function gap(item: RiskItem): number {
  const plan = toNumber(item.assessment?.target?.value);
  const outturn = toNumber(item.assessment?.outturn) ?? actual(item);
  return plan && outturn !== undefined ? Math.abs(plan - outturn) / Math.abs(plan) : 0;
}

/** Colours in order; inside a colour whatever nobody asked about yet first, then the least probable, the widest gap. */
export function sortRisks(items: readonly RiskItem[], asked: (key: string) => boolean): RiskItem[] {
  const rank = (item: RiskItem) => {
    const place = statusOrder.indexOf(item.status);
    return place < 0 ? statusOrder.length : place;
  };
  return [...items].sort(
    (a, b) =>
      rank(a) - rank(b) ||
      Number(asked(riskKey(a))) - Number(asked(riskKey(b))) ||
      (a.assessment?.probability ?? 2) - (b.assessment?.probability ?? 2) ||
      gap(b) - gap(a) ||
      riskKey(a).localeCompare(riskKey(b)),
  );
}

// The risk board's data: read once, then kept up to date line by line.

import { SvelteMap, SvelteSet } from "svelte/reactivity";
import {
  type Explanation,
  ExplanationService,
  ExplanationState,
} from "../gen/civicmesh/explanations/v1/explanations_pb";
import { FeedbackService, type FeedbackStatistics } from "../gen/civicmesh/feedback/v1/feedback_pb";
import { ForecastService, type RiskItem, RiskStatus } from "../gen/civicmesh/forecasting/v1/forecasting_pb";
import { TargetAuthor } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { client, type Problem, problem } from "../lib/api";
import { toDate } from "../lib/format";
import { LiveTopic, live } from "../lib/live.svelte";
import { explanationKey, riskKey } from "../lib/risk";
import { session } from "../lib/session.svelte";

const MARKED = 1_200;
/** More changes than this at once are cheaper to read as a whole. */
const MANY = 12;

export interface BoardFilter {
  unitId: string;
  allLevels: boolean;
  /** A set of indicators. */
  group: string;
  targetAuthor: TargetAuthor;
  /** The period of the plan, such as "2026". */
  targetPeriod: string;
  decisiveOnly: boolean;
}

const EVERYTHING: BoardFilter = {
  unitId: "",
  allLevels: false,
  group: "",
  targetAuthor: TargetAuthor.UNSPECIFIED,
  targetPeriod: "",
  decisiveOnly: false,
};

export class BoardData {
  items = new SvelteMap<string, RiskItem>();
  /** Open requests by line. */
  open = new SvelteMap<string, Explanation>();
  /** Lines that have just changed. */
  marked = new SvelteSet<string>();
  statistics = $state.raw<FeedbackStatistics>();
  loaded = $state(false);
  /** Open requests were read, so that nobody is asked twice. */
  asked = $state(false);
  problem = $state.raw<Problem>();
  newRed = $state("");
  /** Periods of plans met so far: a filter must not take away the others. */
  periods = new SvelteSet<string>();
  #turn = 0;
  #filter = EVERYTHING;
  #risks = client(ForecastService);
  #explanations = client(ExplanationService);

  /** Follows the live stream until the returned function is called. */
  follow(): () => void {
    const reset = () => void this.load(this.#filter);
    const stops = [
      live.on(LiveTopic.RISK, (ids) => void this.#patch(ids), reset),
      live.on(
        LiveTopic.EXPLANATION,
        () => void this.readRequests(),
        () => void this.readRequests(),
      ),
      live.on(
        LiveTopic.FEEDBACK,
        () => void this.#readFeedback(),
        () => void this.#readFeedback(),
      ),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  async load(wish: Partial<BoardFilter>): Promise<void> {
    const filter = { ...EVERYTHING, ...wish };
    this.#filter = filter;
    void this.readRequests();
    void this.#readFeedback();
    try {
      const found = await this.#list({});
      if (this.#filter !== filter) return;
      const keys = new Set(found.map(riskKey));
      for (const key of [...this.items.keys()]) if (!keys.has(key)) this.items.delete(key);
      for (const item of found) this.items.set(riskKey(item), item);
      this.loaded = true;
      this.problem = undefined;
    } catch (error) {
      this.problem = problem(error);
    }
  }

  async readRequests(): Promise<void> {
    const turn = ++this.#turn;
    try {
      if (!session.may("explanations.read")) return;
      const page = await this.#explanations.listExplanations({ openOnly: true, pageSize: 200 });
      // Answers may overtake each other; only the one asked for last counts.
      if (turn !== this.#turn) return;
      const found = new Map(page.explanations.map((one) => [explanationKey(one), one]));
      for (const key of [...this.open.keys()]) if (!found.has(key)) this.open.delete(key);
      for (const [key, one] of found) this.open.set(key, one);
    } catch {
      // The board stays readable; the next change or reset reads them again.
    } finally {
      this.asked = true;
    }
  }

  /** Open requests, the most urgent first. */
  get requests(): Explanation[] {
    return [...this.open.values()].sort((a, b) => {
      return time(a) - time(b);
    });
  }

  get overdue(): number {
    return [...this.open.values()].filter((one) => one.overdue).length;
  }

  get waiting(): number {
    if (!session.may("explanations.review")) return 0;
    return [...this.open.values()].filter((one) => one.state === ExplanationState.ANSWERED).length;
  }

  /** When the newest line was assessed. */
  get updated(): Date | undefined {
    const times = [...this.items.values()].flatMap((item) =>
      item.updateTime ? [toDate(item.updateTime).getTime()] : [],
    );
    return times.length ? new Date(Math.max(...times)) : undefined;
  }

  async #patch(ids: string[]): Promise<void> {
    const known = ids.filter((id) => id.includes("/"));
    if (known.length > MANY) return this.load(this.#filter);
    await Promise.all(known.map((id) => this.#reread(id).catch(() => undefined)));
  }

  async #reread(key: string): Promise<void> {
    const [indicatorId = "", unitId = ""] = key.split("/");
    const item = (await this.#list({ indicatorId })).find((one) => one.unitId === unitId);
    const before = this.items.get(key);
    if (!item) {
      this.items.delete(key);
      return;
    }
    this.items.set(key, item);
    this.marked.add(key);
    setTimeout(() => this.marked.delete(key), MARKED);
    if (before && before.status !== RiskStatus.RED && item.status === RiskStatus.RED) this.newRed = key;
  }

  async #list(more: { indicatorId?: string }): Promise<RiskItem[]> {
    const { unitId, allLevels, ...filter } = this.#filter;
    const found: RiskItem[] = [];
    let pageToken = "";
    do {
      const page = await this.#risks.listRiskItems({
        ...more,
        ...filter,
        unitId,
        cityLevelOnly: !unitId && !allLevels,
        pageSize: 500,
        pageToken,
      });
      found.push(...page.items);
      for (const { assessment } of page.items) {
        if (assessment?.target?.period) this.periods.add(assessment.target.period.code);
      }
      pageToken = page.nextPageToken;
    } while (pageToken && found.length < 1_500);
    return found;
  }

  async #readFeedback(): Promise<void> {
    if (!session.may("feedback.read")) return;
    try {
      this.statistics = await client(FeedbackService).getFeedbackStatistics({ unitId: this.#filter.unitId });
    } catch {
      // Left as it was.
    }
  }
}

function time(explanation: Explanation): number {
  return explanation.deadline ? toDate(explanation.deadline).getTime() : 0;
}

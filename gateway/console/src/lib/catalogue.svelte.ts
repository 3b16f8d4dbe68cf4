// Definitions of all indicators, read once when a screen needs names.

import { SvelteMap } from "svelte/reactivity";
import { type Indicator, IndicatorService } from "../gen/civicmesh/indicators/v1/indicators_pb";
import { client } from "./api";
import { i18n } from "./i18n.svelte";

class Catalogue {
  all = $state.raw<Indicator[]>([]);
  #byId = new SvelteMap<string, Indicator>();
  #loading: Promise<void> | undefined;

  load(): Promise<void> {
    this.#loading ??= this.#read().catch((error) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  get(id: string): Indicator | undefined {
    return this.#byId.get(id);
  }

  name(id: string): string {
    const indicator = this.get(id);
    return indicator ? i18n.name(indicator) : "…";
  }

  async #read(): Promise<void> {
    const service = client(IndicatorService);
    const found: Indicator[] = [];
    let pageToken = "";
    do {
      const page = await service.listIndicators({ pageSize: 200, pageToken });
      found.push(...page.indicators);
      pageToken = page.nextPageToken;
    } while (pageToken);
    for (const indicator of found) this.#byId.set(indicator.id, indicator);
    this.all = found;
  }
}

export const catalogue = new Catalogue();

/** Fields (lĩnh vực) that occur, for choosing. */
export function fieldsOf(
  indicators: Iterable<Indicator | undefined>,
): { code: string; nameVi: string; nameEn: string }[] {
  const fields = new Map<string, { code: string; nameVi: string; nameEn: string }>();
  for (const indicator of indicators) {
    if (indicator) {
      fields.set(indicator.fieldCode, {
        code: indicator.fieldCode,
        nameVi: indicator.fieldVi,
        nameEn: indicator.fieldEn,
      });
    }
  }
  return [...fields.values()].sort((a, b) => i18n.f.collator.compare(i18n.name(a), i18n.name(b)));
}

// The language of the page. Vietnamese is always there; English comes when it is chosen.

import { type Messages, vi } from "../messages/vi";
import { Formats, type Language } from "./format";

const KEY = "civicmesh.language";

class I18n {
  language = $state<Language>("vi");
  m = $state.raw<Messages>(vi);
  f = $state.raw(new Formats("vi"));

  async start(): Promise<void> {
    const kept = localStorage.getItem(KEY);
    await this.choose(kept === "en" || kept === "vi" ? kept : "vi", false);
  }

  /** Whether this browser has a choice of its own. */
  get chosen(): boolean {
    return localStorage.getItem(KEY) !== null;
  }

  async choose(language: Language, keep = true): Promise<void> {
    this.m = language === "vi" ? vi : (await import("../messages/en")).en;
    this.f = new Formats(language);
    this.language = language;
    document.documentElement.lang = language;
    if (keep) localStorage.setItem(KEY, language);
  }

  /** The name in the page's language of whatever has both. */
  name(thing: { nameVi: string; nameEn: string } | undefined): string {
    if (!thing) return "";
    return this.language === "en" && thing.nameEn ? thing.nameEn : thing.nameVi;
  }
}

export const i18n = new I18n();

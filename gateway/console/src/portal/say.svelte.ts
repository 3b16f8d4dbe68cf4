// The public page's language.

import type { Language } from "../lib/format";
import { type PortalMessages, vi } from "../messages/portal.vi";

const KEY = "civicmesh.language";

class Say {
  language = $state<Language>("vi");
  m = $state.raw<PortalMessages>(vi);

  async start(): Promise<void> {
    if (localStorage.getItem(KEY) === "en") await this.choose("en");
  }

  async choose(language: Language): Promise<void> {
    this.m = language === "vi" ? vi : (await import("../messages/portal.en")).en;
    this.language = language;
    localStorage.setItem(KEY, language);
  }
}

export const say = new Say();

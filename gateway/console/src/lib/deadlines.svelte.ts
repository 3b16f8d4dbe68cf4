// The deadlines that the server proposes, read ahead so that the ask dialog opens filled in.

import { type Deadline, ExplanationService } from "../gen/civicmesh/explanations/v1/explanations_pb";
import { client } from "./api";

class Deadlines {
  list = $state.raw<Deadline[]>([]);
  #read = 0;

  /** Deadlines are counted from now, so they are read again every few minutes. */
  async refresh(): Promise<void> {
    if (Date.now() - this.#read < 5 * 60_000) return;
    this.#read = Date.now();
    try {
      this.list = (await client(ExplanationService).listDeadlines({})).deadlines;
    } catch {
      this.#read = 0;
    }
  }
}

export const deadlines = new Deadlines();

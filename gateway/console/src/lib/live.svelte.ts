// The tab's one live stream, and how screens listen to it.

import { Code, ConnectError } from "@connectrpc/connect";
import { LiveService, LiveTopic } from "../gen/civicmesh/gateway/v1/live_pb";
import { client } from "./api";
import { LiveFollower, type LiveStatus } from "./live";
import { snapshot } from "./snapshot.svelte";

export { LiveTopic };

interface Listener {
  topic: LiveTopic;
  change: (ids: string[]) => void;
  reset: () => void;
  waiting: Set<string>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

// Changes come in bursts (one figure moves several plans); they are read together.
const GATHER = 150;

class Live {
  status = $state<LiveStatus>("connecting");
  /** When the stream was last known to be whole. */
  since = $state.raw(new Date());
  #listeners = new Set<Listener>();
  #follower: LiveFollower | undefined;

  start(): void {
    if (this.#follower) return;
    const service = client(LiveService);
    const follower = new LiveFollower({
      watch: (after, signal, opened) => service.watch({ after }, { signal, timeoutMs: 0, onHeader: () => opened() }),
      onStatus: (status) => {
        if (this.status === "live") this.since = new Date();
        this.status = status;
        if (status === "live" && snapshot.time) {
          snapshot.time = undefined;
          this.#reset();
        }
      },
      onChange: (topic, id) => this.#tell(topic, id),
      onReset: () => this.#reset(),
      fatal: (error) => ConnectError.from(error).code === Code.Unauthenticated,
    });
    this.#follower = follower;
    follower.start();
    addEventListener("online", () => follower.kick());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") follower.kick();
    });
  }

  /** Calls back with what changed, gathered; `reset` when everything must be read again. Returns the way out. */
  on(topic: LiveTopic, change: (ids: string[]) => void, reset: () => void): () => void {
    const listener: Listener = { topic, change, reset, waiting: new Set(), timer: undefined };
    this.#listeners.add(listener);
    return () => {
      clearTimeout(listener.timer);
      this.#listeners.delete(listener);
    };
  }

  #reset(): void {
    for (const listener of this.#listeners) listener.reset();
  }

  #tell(topic: number, id: string): void {
    for (const listener of this.#listeners) {
      if (listener.topic !== topic) continue;
      listener.waiting.add(id);
      listener.timer ??= setTimeout(() => {
        const ids = [...listener.waiting];
        listener.waiting.clear();
        listener.timer = undefined;
        listener.change(ids);
      }, GATHER);
    }
  }
}

export const live = new Live();

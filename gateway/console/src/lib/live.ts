// Follows one stream of changes for the whole tab: resumes where it stopped, backs off, knows when it is stale.

export interface Change {
  sequence: bigint;
  topic: number;
  id: string;
  reset: boolean;
}

export type LiveStatus = "connecting" | "live" | "stale";

export interface LiveOptions {
  /** Opens the stream after a number; `opened` is called once the server took it. */
  watch: (after: bigint, signal: AbortSignal, opened: () => void) => AsyncIterable<Change>;
  onStatus: (status: LiveStatus) => void;
  onChange: (topic: number, id: string) => void;
  /** Changes may have been missed: everything shown must be read again. */
  onReset: () => void;
  /** True for errors after which trying again is useless until somebody signs in. */
  fatal?: (error: unknown) => boolean;
  random?: () => number;
}

export const SILENCE = 30_000;
const RENEWAL = 10 * 60_000;

/** Full jitter between half and all of 1, 2, 4, ... 30 seconds. */
export function backoff(attempt: number, random: number): number {
  const ceiling = Math.min(30_000, 1_000 * 2 ** attempt);
  return ceiling / 2 + (ceiling / 2) * random;
}

export class LiveFollower {
  after = 0n;
  #options: LiveOptions;
  #running: AbortController | undefined;
  #wake: (() => void) | undefined;
  #stopped = true;
  #status: LiveStatus = "connecting";
  #openings = 0;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    void this.#loop();
  }

  stop(): void {
    this.#stopped = true;
    this.#running?.abort();
    this.#wake?.();
  }

  /** Tries at once: the network is back, or the tab is seen again. */
  kick(): void {
    if (this.#status !== "live") this.#running?.abort();
    this.#wake?.();
  }

  /** Opens the stream anew, as proxies like to drop old ones. */
  renew(): void {
    this.#running?.abort();
  }

  async #loop(): Promise<void> {
    let attempt = 0;
    while (!this.#stopped) {
      const renewed = await this.#once(() => {
        attempt = 0;
      });
      if (this.#stopped) return;
      if (renewed) continue;
      this.#set("stale");
      await this.#pause(backoff(attempt, (this.#options.random ?? Math.random)()));
      attempt += 1;
    }
  }

  /** One opening of the stream; true when we ended it ourselves to open it anew. */
  async #once(healthy: () => void): Promise<boolean> {
    const control = new AbortController();
    this.#running = control;
    let silence: ReturnType<typeof setTimeout> | undefined;
    let silent = false;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(() => {
        silent = true;
        control.abort();
      }, SILENCE);
    };
    const renewal = setTimeout(() => control.abort(), RENEWAL);
    hear();
    try {
      const stream = this.#options.watch(this.after, control.signal, () => {
        hear();
        healthy();
        this.#opened();
      });
      for await (const change of stream) {
        hear();
        healthy();
        this.#set("live");
        this.#take(change);
      }
    } catch (error) {
      if (!control.signal.aborted && this.#options.fatal?.(error)) {
        this.#stopped = true;
        this.#set("stale");
      }
    } finally {
      clearTimeout(silence);
      clearTimeout(renewal);
    }
    return control.signal.aborted && !silent;
  }

  #opened(): void {
    this.#set("live");
    this.#openings += 1;
    // Without a number to continue after, whatever happened in between is unknown.
    if (this.after === 0n && this.#openings > 1) this.#options.onReset();
  }

  #take(change: Change): void {
    if (change.sequence > 0n) this.after = change.sequence;
    if (change.reset) this.#options.onReset();
    else if (change.topic !== 0) this.#options.onChange(change.topic, change.id);
  }

  #set(status: LiveStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    this.#options.onStatus(status);
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

// The answers last read, kept on this device, so that the console starts and stays readable without a connection.

const NAME = "civicmesh.answers";
const KEPT = "x-kept";
const MOST = 200;

class Snapshot {
  /** When what is shown was read, while it comes from here. */
  time = $state.raw<Date>();

  /** Leaves nothing behind for the next person at this device. */
  async clear(): Promise<void> {
    this.time = undefined;
    if ("caches" in globalThis) await caches.delete(NAME);
  }

  /** Answers without effects are kept; when the network fails the last one is given instead. */
  readonly fetch: typeof fetch = async (input, init) => {
    const url = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
    const key = isRead(url) && init?.body instanceof Uint8Array ? await keyOf(url, init.body) : "";
    try {
      const answer = await fetch(input, init);
      if (!key || !answer.ok || (answer.headers.get("grpc-status") ?? "0") !== "0") return answer;
      // Read here as a whole: the transport stops its own reading, and a copy with it, at the last message.
      const body = await answer.arrayBuffer();
      void keep(key, body, answer);
      return new Response(body, answer);
    } catch (error) {
      const kept = key && error instanceof TypeError ? await (await store())?.match(key) : undefined;
      if (!kept) throw error;
      const time = new Date(kept.headers.get(KEPT) ?? Number.NaN);
      if (!this.time || time < this.time) this.time = time;
      return kept;
    }
  };
}

export const snapshot = new Snapshot();

/** By their names, as the contract has them: Get, List and Explain read. What residents tell of themselves is never kept. */
export function isRead(url: string): boolean {
  return /\/(Get(?!Feedback$)|List|Explain)[A-Z]\w*$/.test(new URL(url, "http://x").pathname);
}

async function keyOf(url: string, body: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", body as Uint8Array<ArrayBuffer>));
  return `${url}?${Array.from(hash.slice(0, 12), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function store(): Promise<Cache | undefined> {
  return "caches" in globalThis && crypto.subtle ? caches.open(NAME) : undefined;
}

async function keep(key: string, body: ArrayBuffer, answer: Response): Promise<void> {
  try {
    const cache = await store();
    if (!cache) return;
    const headers = new Headers(answer.headers);
    headers.set(KEPT, new Date().toISOString());
    await cache.put(key, new Response(body, { status: answer.status, headers }));
    const keys = await cache.keys();
    await Promise.all(keys.slice(0, Math.max(0, keys.length - MOST)).map((old) => cache.delete(old)));
  } catch {
    // The disk is full: what was kept before stays.
  }
}

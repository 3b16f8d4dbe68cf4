import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { backoff, type Change, LiveFollower, type LiveStatus, SILENCE } from "./live";

/** A server whose streams the test feeds by hand. */
class FakeServer {
  openings: { after: bigint; push: (change: Partial<Change>) => void; fail: () => void }[] = [];

  watch = (after: bigint, signal: AbortSignal, opened: () => void): AsyncIterable<Change> => {
    const queue: Change[] = [];
    let failed = false;
    let wake = () => {};
    signal.addEventListener("abort", () => wake());
    this.openings.push({
      after,
      push: (change) => {
        queue.push({ sequence: 0n, topic: 0, id: "", reset: false, ...change });
        wake();
      },
      fail: () => {
        failed = true;
        wake();
      },
    });
    opened();
    return (async function* () {
      while (!signal.aborted) {
        if (failed) throw new Error("connection lost");
        const next = queue.shift();
        if (next) yield next;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    })();
  };

  get last() {
    const opening = this.openings.at(-1);
    if (!opening) throw new Error("nothing was opened");
    return opening;
  }
}

const seen: { statuses: LiveStatus[]; changes: string[]; resets: number } = { statuses: [], changes: [], resets: 0 };
let server: FakeServer;
let follower: LiveFollower;

beforeEach(async () => {
  vi.useFakeTimers();
  Object.assign(seen, { statuses: [], changes: [], resets: 0 });
  server = new FakeServer();
  follower = new LiveFollower({
    watch: server.watch,
    onStatus: (status) => seen.statuses.push(status),
    onChange: (topic, id) => seen.changes.push(`${topic}:${id}`),
    onReset: () => {
      seen.resets += 1;
    },
    random: () => 1,
  });
  follower.start();
  await vi.advanceTimersByTimeAsync(0);
});

afterEach(() => {
  follower.stop();
  vi.useRealTimers();
});

it("hands on changes and ignores heartbeats", async () => {
  server.last.push({ sequence: 4n, topic: 1, id: "a/b" });
  server.last.push({ sequence: 4n });
  await vi.advanceTimersByTimeAsync(0);
  expect(seen).toMatchObject({ statuses: ["live"], changes: ["1:a/b"], resets: 0 });
});

it("resumes after the last number when the stream breaks", async () => {
  server.last.push({ sequence: 7n, topic: 2, id: "x" });
  await vi.advanceTimersByTimeAsync(0);
  server.last.fail();
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.statuses).toEqual(["live", "stale"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(server.openings.map((opening) => opening.after)).toEqual([0n, 7n]);
  expect(seen).toMatchObject({ statuses: ["live", "stale", "live"], resets: 0 });
});

it("reads everything again when it has no number to resume after", async () => {
  server.last.fail();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(seen.resets).toBe(1);
});

it("is stale after 30 seconds of silence", async () => {
  await vi.advanceTimersByTimeAsync(SILENCE - 1);
  expect(seen.statuses).toEqual(["live"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(seen.statuses).toEqual(["live", "stale"]);
});

it("passes on a reset", async () => {
  server.last.push({ sequence: 9n, reset: true });
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.resets).toBe(1);
  expect(follower.after).toBe(9n);
});

it("backs off to half a minute at most", () => {
  expect([0, 1, 4, 5, 20].map((attempt) => backoff(attempt, 1))).toEqual([1_000, 2_000, 16_000, 30_000, 30_000]);
  expect(backoff(0, 0)).toBe(500);
});

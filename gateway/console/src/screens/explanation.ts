import type { Explanation } from "../gen/civicmesh/explanations/v1/explanations_pb";
import type { Problem } from "../lib/api";

/** Runs one command on the request shown and says what went wrong, if something did. */
export type Act = (
  command: (key: { requestId: string; id: string; etag: string }) => Promise<Explanation>,
  done: string,
) => Promise<Problem | undefined>;

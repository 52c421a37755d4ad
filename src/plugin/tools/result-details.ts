import type { Result } from '#src/protocol/hub-api.ts';

/** One result for programs, with the name and id that the node itself states. */
export function resultDetails(result: Result) {
  const { node, id, outcome, exitCode, signal, durationMs, truncated, replayed, reason } = result;
  return { node, id, outcome, exitCode, signal, durationMs, truncated, replayed, reason };
}

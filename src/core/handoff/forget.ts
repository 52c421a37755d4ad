import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { keyOwner } from '#src/core/handoff/record.ts';

export interface Keeping {
  /** Milliseconds since the epoch: what was over before is old. */
  readonly since: number;
  /** Of those that are over. */
  readonly most: number;
}

/**
 * Those that need not be kept any longer: the old ones, and of too many the oldest of whoever has the most of them, so that
 * nobody who asks for many takes from others what came of theirs, nor the keys by which it is known. `over`: in the order
 * in which they were asked for.
 */
export function forgettable(over: readonly HandoffRecord[], { since, most }: Keeping): readonly HandoffRecord[] {
  const isOld = ({ endedAt }: HandoffRecord): boolean => (endedAt ?? 0) < since;
  const old = over.filter(isOld);
  const rest = over.filter((record) => !isOld(record));
  const owners = [...Map.groupBy(rest, ({ asker, parent }) => keyOwner(asker, parent)).values()];
  const share = fairShare(
    owners.map(({ length }) => length),
    most,
  );
  return [...old, ...owners.flatMap((own) => own.slice(0, Math.max(0, own.length - share)))];
}

/** How many each may have at most, so that all together have no more than `most`. */
function fairShare(counts: readonly number[], most: number): number {
  let left = most;
  const sorted = counts.toSorted((a, b) => a - b);
  for (const [at, count] of sorted.entries()) {
    const share = Math.floor(left / (sorted.length - at));
    if (count > share) return share;
    left -= count;
  }
  return Infinity;
}

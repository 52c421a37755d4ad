/** A handoff that is over, as far as it counts for the room that all take. */
export interface KeptOne {
  readonly id: string;
  readonly bytes: number;
  /** Milliseconds since the epoch. */
  readonly endedAt: number;
  /** Whether somebody has read it to its end. */
  readonly isRead: boolean;
}

/** Ids of those that have to go so that all take no more than `maxBytes`: first what was read, and of that the oldest. */
export function surplus(kept: readonly KeptOne[], maxBytes: number): readonly string[] {
  let bytes = kept.reduce((sum, one) => sum + one.bytes, 0);
  const gone: string[] = [];
  for (const one of kept.toSorted((a, b) => Number(b.isRead) - Number(a.isRead) || a.endedAt - b.endedAt)) {
    if (bytes <= maxBytes) break;
    bytes -= one.bytes;
    gone.push(one.id);
  }
  return gone;
}

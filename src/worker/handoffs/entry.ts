import type { Handoff } from '#src/worker/handoffs/handoff.ts';
import type { KeptHandoff } from '#src/worker/handoffs/kept.ts';

/** What there are folders of. */
export interface Attempts {
  readonly attempt: number;
  /** Those before it. */
  readonly older: readonly number[];
}

/** The newest attempt of a handoff that this node has heard of. */
export interface Entry extends Attempts {
  readonly hash: string;
  current: Handoff | KeptHandoff;
}

/** A handoff of which the disk tells nothing. */
export interface Unreadable extends Attempts {
  /** When that was found, in milliseconds since the epoch. */
  readonly since: number;
}

import type { HandoffApproval } from '#src/core/handoff/record.ts';
import type { Asker } from '#src/core/policy.ts';

/** A message that is delivered once, and has no answer. Times are milliseconds since the epoch. */
export interface MessageRecord {
  readonly id: string;
  readonly key: string;
  /** SHA-256 of what the key stands for, hex. */
  readonly payload: string;
  readonly asker: Asker;
  readonly target: string;
  readonly node: { readonly id: string; readonly name: string };
  /** Null until the node says which: its first. */
  readonly agent: string | null;
  readonly approval: HandoffApproval | null;
  /** Empty once nobody needs it any more. */
  readonly text: string;
  readonly state: 'waiting' | 'delivered' | 'refused';
  readonly problem: string | null;
  readonly createdAt: number;
  /** When it was delivered or refused. */
  readonly overAt: number | null;
}

import type { Finding } from '#src/core/finding.ts';
import type { Action } from '#src/deploy/action.ts';

/** A finding of a machine; `fix` mends it without losing data or widening access. */
export interface MachineFinding extends Finding {
  readonly fix?: readonly Action[];
}

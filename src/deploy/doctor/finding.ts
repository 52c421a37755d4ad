import type { Finding } from '#src/core/finding.ts';
import type { ActionOf } from '#src/deploy/action.ts';

/** What may be done to a machine without asking: nothing of these loses data or widens access. */
export type Fix = ActionOf<'folder' | 'write' | 'reload' | 'unit' | 'linger' | 'run'>;

/** A finding of a machine, with what mends it where that is safe. */
export interface MachineFinding extends Finding {
  readonly fix?: readonly Fix[];
}

import type { HandoffDeed } from '#src/core/handoff/event.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Mirrored } from '#src/hub/handoffs/mirror.ts';
import { eventLine } from '#src/hub/handoffs/transcript.ts';

/**
 * Adds the event that stands at `base`, unless it is there: a hub that ended in between kept in the record that it is begun
 * anew, and did not come to say so.
 */
export function sayRestarted({ base, tried }: HandoffRecord, mirrored: Mirrored): void {
  if (base <= mirrored.seq) return;
  const deed: HandoffDeed = { type: 'restarted', attempt: tried.length + 1 };
  mirrored.append([eventLine(base, deed)]);
}

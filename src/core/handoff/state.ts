/**
 * How a handoff stands:
 *
 *     waiting → placed → started → completed | failed | cancelled | expired | lost
 *
 * - `waiting` is durable at the hub, and no node has it for certain: none is there, or none has room.
 * - `placed` was sent to a node. It may have started there; from here it goes back to `waiting` only where the node
 *   itself proves that it did not start.
 * - `started`: its node said so.
 * - `expired`: its time was over. `lost`: it started, or may have, and nobody knows how it ended.
 */
export const HANDOFF_STATES = [
  'waiting',
  'placed',
  'started',
  'completed',
  'failed',
  'cancelled',
  'expired',
  'lost',
] as const;
export type HandoffState = (typeof HANDOFF_STATES)[number];

export const HANDOFF_OUTCOMES = ['completed', 'failed', 'cancelled', 'expired', 'lost'] as const;
export type HandoffOutcome = (typeof HANDOFF_OUTCOMES)[number];

export function isOver(state: HandoffState): state is HandoffOutcome {
  return (HANDOFF_OUTCOMES as readonly string[]).includes(state);
}

import type { AgentPlace } from '#src/core/handoff/resolve.ts';
import { placeKey } from '#src/hub/handoffs/load.ts';

/**
 * Where something may be given now. A place that refused is given one at a time for a while, and the next when that is
 * taken: each that is refused is written down twice, and thousands may wait.
 */
export interface Room {
  isOpen(place: AgentPlace, now: number): boolean;
  given(place: AgentPlace, now: number): void;
  taken(nodeId: string, agent: string): void;
  refused(nodeId: string, agent: string, now: number): void;
  /** Something ended at the node, or it offers others. */
  freed(nodeId: string): void;
  /** When the next place opens by itself. */
  due(now: number): number;
}

interface Strain {
  /** Nothing is given until then, unless something ends there before. */
  closedUntil: number;
  readonly nodeId: string;
  /** One at a time until then. */
  readonly until: number;
}

/** How long a node that had no room is not asked again. */
const CLOSED_MS = 3000;
const STRAINED_MS = 60_000;

export function createRoom(): Room {
  const strained = new Map<string, Strain>();

  function open(key: string): void {
    const strain = strained.get(key);
    if (strain !== undefined) strain.closedUntil = 0;
  }

  return {
    isOpen: ({ node, agent }, now) => (strained.get(placeKey(node.id, agent.id))?.closedUntil ?? 0) <= now,
    given({ node, agent }, now) {
      const strain = strained.get(placeKey(node.id, agent.id));
      if (strain !== undefined) strain.closedUntil = now + CLOSED_MS;
    },
    taken: (nodeId, agent) => open(placeKey(nodeId, agent)),
    refused(nodeId, agent, now) {
      strained.set(placeKey(nodeId, agent), { nodeId, closedUntil: now + CLOSED_MS, until: now + STRAINED_MS });
    },
    freed(nodeId) {
      for (const strain of strained.values()) if (strain.nodeId === nodeId) strain.closedUntil = 0;
    },
    due(now) {
      let due = Infinity;
      for (const [key, { closedUntil, until }] of strained) {
        if (closedUntil > now) due = Math.min(due, closedUntil);
        else if (until <= now) strained.delete(key);
      }
      return due;
    },
  };
}

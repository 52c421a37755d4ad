import { EventEmitter } from 'node:events';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { createOfferDoor } from '#src/hub/fleet/offer-door.ts';

/** The agents that nodes offer now. An offer belongs to the link by whose credential it came, and ends with it. */
export interface OfferedAgents {
  /** Counts that a node wants to say what it offers. Throws QUEUE_FULL for one that does so too often. */
  knock(nodeId: string): void;
  /** Takes all that a node offers, in the place of what it offered before. Throws FORBIDDEN where its link is another. */
  put(nodeId: string, link: number, agents: readonly OfferedAgent[]): void;
  /** Null where the node has not said on this link what it offers, and may still be about to. */
  of(nodeId: string): readonly OfferedAgent[] | null;
  readonly changes: EventEmitter<{ offer: [nodeId: string] }>;
}

export interface OfferedAgentsOptions {
  readonly fleet: Pick<Fleet, 'link' | 'changes'>;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** From the start of a link; one that says nothing in this time offers nothing. */
const FIRST_WORD_MS = 10_000;

export function createOfferedAgents({ fleet, now = () => performance.now() }: OfferedAgentsOptions): OfferedAgents {
  const offers = new Map<string, readonly OfferedAgent[]>();
  const upSince = new Map<string, number>();
  const door = createOfferDoor({ fleet, tooOften: 'QUEUE_FULL', now });
  const changes: OfferedAgents['changes'] = new EventEmitter();

  fleet.changes.on('up', ({ nodeId }) => {
    offers.delete(nodeId);
    upSince.set(nodeId, now());
  });
  fleet.changes.on('down', ({ nodeId }) => {
    // Of a link that was replaced, the next one is there already: it says anew what is offered.
    if (fleet.link(nodeId) !== undefined) return;
    offers.delete(nodeId);
    upSince.delete(nodeId);
  });

  return {
    knock: door.knock,
    put(nodeId, link, agents) {
      door.check(nodeId, link);
      offers.set(nodeId, agents);
      changes.emit('offer', nodeId);
    },
    of(nodeId) {
      const said = offers.get(nodeId);
      if (said !== undefined) return said;
      const isNew = now() - (upSince.get(nodeId) ?? -Infinity) < FIRST_WORD_MS;
      return isNew ? null : [];
    },
    changes,
  };
}

import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { Pace } from '#src/core/pace.ts';
import { createPace } from '#src/core/pace.ts';

/** Who may say what a node offers, and how often. */
export interface OfferDoor {
  /** Counts that a node wants to say it. Throws the door's own code for one that does so too often. */
  knock(nodeId: string): void;
  /** Throws FORBIDDEN where the link of that credential is not the one that is up. */
  check(nodeId: string, link: number): void;
}

export interface OfferDoorOptions {
  readonly fleet: Pick<Fleet, 'link' | 'changes'>;
  readonly tooOften: ErrorCode;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

const OFFERS_PER_MINUTE = 20;
/** After that its pace is a whole one again. */
const FORGET_MS = 60_000;

export function createOfferDoor({ fleet, tooOften, now }: OfferDoorOptions): OfferDoor {
  const paces = new Map<string, { readonly pace: Pace; usedAt: number }>();

  // A link that comes and goes must not be a way around it.
  fleet.changes.on('down', () => {
    for (const [nodeId, { usedAt }] of paces) if (now() - usedAt > FORGET_MS) paces.delete(nodeId);
  });

  return {
    knock(nodeId) {
      const own = paces.get(nodeId) ?? { pace: createPace(OFFERS_PER_MINUTE), usedAt: 0 };
      paces.set(nodeId, own);
      own.usedAt = now();
      const retryAfterMs = own.pace.take(own.usedAt);
      if (retryAfterMs === 0) return;
      throw new FederationError(tooOften, 'this node says too often what it offers', { retryAfterMs });
    },
    check(nodeId, link) {
      if (fleet.link(nodeId)?.generation === link) return;
      throw new FederationError('FORBIDDEN', 'this credential is of a link that is not up', {
        hint: 'say what is offered with the credential of the link that is',
      });
    },
  };
}

import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/membership.ts';
import { findNode } from '#src/core/selector.ts';
import type { Fleet } from '#src/hub/fleet.ts';

export interface Targets {
  readonly targets: readonly Member[];
  /** Those that `all` would mean, were they online. */
  readonly leftOut: readonly Member[];
}

/**
 * The members that a person's words mean; `all`: every online worker and hybrid.
 * Throws NODE_NOT_FOUND, NODE_AMBIGUOUS, or NOTHING_MATCHED.
 */
export function chooseTargets(members: readonly Member[], wanted: readonly string[] | 'all', fleet: Fleet): Targets {
  const admitted = members.filter(({ revokedAt }) => revokedAt === null);
  if (wanted !== 'all') {
    const named = wanted.map((word) => findNode(admitted, word));
    return { targets: [...new Set(named)], leftOut: [] };
  }
  const candidates = admitted.filter(({ role }) => role !== 'master').toSorted(byName);
  const targets = candidates.filter(({ id }) => fleet.link(id) !== undefined);
  if (targets.length > 0) return { targets, leftOut: candidates.filter((member) => !targets.includes(member)) };
  throw new FederationError('NOTHING_MATCHED', 'no worker or hybrid is online', { hint: 'manage-federation list' });
}

function byName(a: Member, b: Member): number {
  return a.name.localeCompare(b.name, 'en', { numeric: true });
}

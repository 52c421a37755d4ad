import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Named } from '#src/core/selector.ts';
import { findNode } from '#src/core/selector.ts';
import type { Fleet } from '#src/hub/fleet.ts';
import type { JudgedRequest } from '#src/hub/requests.ts';

export interface Targets {
  readonly targets: readonly Member[];
  /** Those that `all` would mean, were they online. */
  readonly leftOut: readonly Member[];
}

/**
 * The members that a person's words mean; `all`: every online worker and hybrid.
 * Throws NODE_NOT_FOUND, NODE_AMBIGUOUS, or NOTHING_MATCHED.
 */
export function chooseTargets(
  members: readonly Member[],
  wanted: readonly string[] | 'all',
  fleet: Fleet,
  requests: readonly JudgedRequest[],
): Targets {
  if (wanted !== 'all') {
    const named = wanted.map((word) => findMember(members, requests, word));
    return { targets: [...new Set(named)], leftOut: [] };
  }
  const candidates = members.filter(({ role, revokedAt }) => revokedAt === null && role !== 'master').toSorted(byName);
  const targets = candidates.filter(({ id }) => fleet.link(id) !== undefined);
  if (targets.length > 0) return { targets, leftOut: candidates.filter((member) => !targets.includes(member)) };
  throw new FederationError('NOTHING_MATCHED', 'no worker or hybrid is online', { hint: 'manage-federation list' });
}

/**
 * The one member that a word means. Throws NODE_AMBIGUOUS, or NODE_NOT_FOUND, which tells of a node of that name that
 * is no member.
 */
export function findMember(members: readonly Member[], requests: readonly JudgedRequest[], word: string): Member {
  try {
    return findNode(members.filter(({ revokedAt }) => revokedAt === null).toSorted(byName), word);
  } catch (error) {
    if (!(error instanceof FederationError) || error.code !== 'NODE_NOT_FOUND') throw error;
    throw notAdmitted(members, requests, word) ?? error;
  }
}

function notAdmitted(
  members: readonly Member[],
  requests: readonly JudgedRequest[],
  word: string,
): FederationError | null {
  const request = requests.map((asked) => asked.request).find((one) => isMeant(one, word));
  const how = request?.rejected === true ? 'was rejected' : 'waits for approval';
  const revoked = members.find((member) => member.revokedAt !== null && isMeant(member, word));
  const name = request?.name ?? revoked?.name;
  if (name === undefined) return null;
  return new FederationError('NODE_NOT_FOUND', `${name} ${request === undefined ? 'was revoked' : how}`, {
    hint: `manage-federation approve ${word}`,
  });
}

/** Whether findNode would take `word` for this node. */
export function isMeant(node: Named, word: string): boolean {
  try {
    return findNode([node], word) === node;
  } catch {
    return false;
  }
}

function byName(a: Member, b: Member): number {
  return a.name.localeCompare(b.name, 'en', { numeric: true });
}

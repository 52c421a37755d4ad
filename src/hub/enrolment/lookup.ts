import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { Membership } from '#src/core/membership.ts';
import { findNode } from '#src/core/selector.ts';

/**
 * The one that a word means of those who stand, also by an id that it had until lately: whoever takes a new key meanwhile is still meant.
 * Throws NODE_NOT_FOUND and NODE_AMBIGUOUS.
 */
export function standingMember({ members }: Membership, word: string): Member {
  const standing = [...members.values()].filter(({ revokedAt }) => revokedAt === null);
  try {
    return findNode(standing, word);
  } catch (error) {
    const former = standing.flatMap((member) => formerIds(member).map((id) => ({ id, name: id, member })));
    const isFormer = former.some(({ id }) => id.startsWith(word.replaceAll('-', '')));
    if (!isFormer || !(error instanceof FederationError) || error.code !== 'NODE_NOT_FOUND') throw error;
    return findNode(former, word).member;
  }
}

/** The revoked one that a word means; undefined where there is none. Throws NODE_AMBIGUOUS. */
export function revokedMember(state: Membership, word: string): Member | undefined {
  const revoked = [...state.members.values()].filter(({ revokedAt }) => revokedAt !== null);
  if (revoked.length === 0) return undefined;
  try {
    return findNode(revoked, word);
  } catch (error) {
    if (error instanceof FederationError && error.code === 'NODE_NOT_FOUND') return undefined;
    throw error;
  }
}

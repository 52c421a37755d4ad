import type { Member } from '#src/core/member.ts';
import type { Named } from '#src/core/selector.ts';
import { findNode } from '#src/core/selector.ts';
import type { JudgedRequest } from '#src/hub/enrolment/requests.ts';
import { findMember, isMeant } from '#src/hub/fleet/targets.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** A node whose tools are called. `member` is null for one without a worker daemon. */
export interface ToolNode {
  readonly id: string;
  readonly name: string;
  readonly member: Member | null;
}

/** The one node that a word means, a member or one of OpenClaw’s own. Throws NODE_AMBIGUOUS, NODE_NOT_FOUND. */
export function toolNode(
  members: readonly Member[],
  own: readonly OpenClawNodeView[],
  waiting: () => readonly JudgedRequest[],
  word: string,
): ToolNode {
  const light = lightNode(members, own, word);
  if (light !== null) return { ...light, member: null };
  const member = findMember(members, waiting, word);
  return { id: member.id, name: member.name, member };
}

/** The node of OpenClaw’s own, and no member, that a word means; null where it means none. Throws NODE_AMBIGUOUS. */
export function lightNode(members: readonly Member[], own: readonly OpenClawNodeView[], word: string): Named | null {
  if (!own.some((node) => isMeant(node, word))) return null;
  const standing = members.filter(({ revokedAt }) => revokedAt === null);
  const { id } = findNode<Named>([...standing, ...own], word);
  const found = own.find((node) => node.id === id);
  return found === undefined ? null : { id, name: found.name };
}

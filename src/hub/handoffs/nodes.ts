import { FederationError } from '#src/core/errors.ts';
import type { AgentNode } from '#src/core/handoff/resolve.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { OfferedAgents } from '#src/hub/handoffs/offered.ts';
import type { Link } from '#src/link/accept.ts';

/** The nodes where a handoff may go. */
export interface AgentNodes {
  list(): readonly (AgentNode & { readonly member: Member })[];
  /** The member that has or had this id, unless it was revoked. */
  member(nodeId: string): Member | undefined;
  link(nodeId: string): Link | undefined;
  /** Whether one of these ids is, or was, that member’s: also one by which its machine was enrolled before it was put out. */
  wasAt(ids: readonly string[], nodeId: string): boolean;
}

export function createAgentNodes(
  members: () => ReadonlyMap<string, Member>,
  fleet: Pick<Fleet, 'link'>,
  offered: OfferedAgents,
): AgentNodes {
  function member(nodeId: string): Member | undefined {
    const found = members().get(nodeId) ?? [...members().values()].find((one) => formerIds(one).includes(nodeId));
    return found?.revokedAt === null ? found : undefined;
  }
  function isSame(id: string, nodeId: string): boolean {
    const standing = member(id);
    if (id === nodeId || standing !== undefined) return id === nodeId || standing?.id === nodeId;
    const [former, now] = [members().get(id), members().get(nodeId)];
    if (former === undefined || now === undefined) return false;
    const isOneMachine = former.tailnet !== null && former.tailnet.stableId === now.tailnet?.stableId;
    return former.name === now.name || isOneMachine;
  }

  return {
    list: () =>
      [...members().values()]
        .filter(({ revokedAt, role }) => revokedAt === null && role !== 'master')
        .map((one) => ({
          ...{ id: one.id, name: one.name, labels: one.labels, groups: one.groups, tailnet: one.tailnet },
          ...{ drained: one.drained, isOnline: fleet.link(one.id) !== undefined, agents: offered.of(one.id) },
          member: one,
        })),
    member,
    wasAt: (ids, nodeId) => ids.some((id) => isSame(id, nodeId)),
    link(nodeId) {
      const found = member(nodeId);
      return found === undefined ? undefined : fleet.link(found.id);
    },
  };
}

/** Says of a target that nobody takes why that is, where it is the master’s own node; passes on every other error. */
export async function explainMaster<T>(
  members: ReadonlyMap<string, Member>,
  target: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isMiss = error instanceof FederationError && ['NODE_NOT_FOUND', 'AGENT_NOT_FOUND'].includes(error.code);
    const [word] = target.split('/');
    const isMaster = ({ role, name, id }: Member): boolean => role === 'master' && (name === word || id === word);
    if (!isMiss || ![...members.values()].some(isMaster)) throw error;
    throw new FederationError('AGENT_NOT_FOUND', `${word} is the master, and its gateway takes no handoffs`, {
      hint: 'ask its agent in a chat; who takes them: manage-federation agents',
      cause: error,
    });
  }
}

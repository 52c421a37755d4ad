import type { HubApi } from '#src/adapters/hub-api.ts';
import { harmless } from '#src/adapters/terminal.ts';
import type { ErrorCode } from '#src/core/errors.ts';
import { FederationError } from '#src/core/errors.ts';
import { asCode, code } from '#src/plugin/block.ts';
import type { AgentView } from '#src/protocol/handoffs.ts';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';

/** One machine of the federation, as a person or an agent chooses among them. */
export interface Peer {
  readonly name: string;
  readonly id: string;
  /** `openclaw` where only OpenClaw’s own node host or app runs there. */
  readonly role: string;
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  /** That its OpenClaw node offers through the gateway, such as camera.snap. */
  readonly commands: readonly string[];
  readonly lastSeenAt: string | null;
  /** That take work: cluster_handoff. */
  readonly agents: readonly Pick<AgentView, 'id' | 'description' | 'tags'>[];
}

/** All machines; those first that are online. */
export async function askPeers(hub: HubApi, signal?: AbortSignal): Promise<readonly Peer[]> {
  const [members, others, agents] = await Promise.all([
    hub.ask<NodeView[]>('GET', '/nodes', undefined, signal),
    hub.ask<OpenClawNodeView[]>('GET', '/openclaw-nodes', undefined, signal),
    askAgents(hub, signal),
  ]);
  const peers = [
    ...members.filter(({ state }) => state !== 'revoked').map((node) => ofMember(node, agents)),
    ...others.map(ofOther),
  ];
  return peers.toSorted((a, b) => Number(isOnline(b)) - Number(isOnline(a)) || (a.name < b.name ? -1 : 1));
}

/** While a release is taken over, the gateway may be of a newer one than the hub. */
async function askAgents(hub: HubApi, signal?: AbortSignal): Promise<readonly AgentView[]> {
  try {
    return await hub.ask<AgentView[]>('GET', '/agents', undefined, signal);
  } catch (error) {
    if (error instanceof FederationError && OLDER.has(error.code)) return [];
    throw error;
  }
}

const OLDER: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'FORBIDDEN']);

function ofMember(
  { name, id, role, state, labels, groups, openclaw, lastSeenAt }: NodeView,
  known: readonly AgentView[],
): Peer {
  const commands = openclaw.nodeHost === 'connected' ? openclaw.commands : [];
  const agents = known
    .filter(({ nodeId }) => nodeId === id)
    .map((agent) => ({ id: agent.id, description: agent.description, tags: agent.tags }));
  return { name, id, role, state, labels, groups, commands, lastSeenAt, agents };
}

function ofOther({ name, id, state, commands, lastSeenAt }: OpenClawNodeView): Peer {
  const isHere = state === 'connected';
  return {
    name,
    id,
    role: 'openclaw',
    state: isHere ? 'online' : 'offline',
    labels: {},
    groups: [],
    commands: isHere ? commands : [],
    lastSeenAt,
    agents: [],
  };
}

function isOnline({ state }: Peer): boolean {
  return state === 'online' || state === 'suspect';
}

/** One line for each; the sentence that says that there is none. */
export function peersText(peers: readonly Peer[]): string {
  if (peers.length === 0) return 'No peers discovered.';
  return peers.map(peerLine).join('\n');
}

/** One machine in one line. What a machine says of itself is no link and no mention, where a model passes the line on. */
export function peerLine(peer: Peer): string {
  const { name, id, role, state, labels, groups, commands, lastSeenAt, agents } = peer;
  const labelled = Object.entries(labels).map(([key, value]) => asCode(value === '' ? key : `${key}=${value}`));
  // Of a member the worker daemon runs commands itself.
  const own = role === 'openclaw' ? commands : commands.filter((command) => !command.startsWith('system.'));
  const can = [...(role === 'openclaw' ? [] : ['shell', 'files']), ...(own.length === 0 ? [] : [code(own.join(' '))])];
  const parts = [
    `${asCode(name)} (${id.slice(0, 12)}): ${state}`,
    ...(isOnline(peer) || lastSeenAt === null ? [] : [`last seen ${lastSeenAt}`]),
    role,
    ...(groups.length === 0 ? [] : [groups.map((group) => `@${group}`).join(' ')]),
    ...(labelled.length === 0 ? [] : [labelled.join(' ')]),
    ...(isOnline(peer) && can.length > 0 ? [`can: ${can.join(' ')}`] : []),
    ...(agents.length === 0 ? [] : [`agents: ${agents.map(agentText).join('; ')}`]),
  ];
  return harmless(parts.join(', ').replaceAll('\n', ' '));
}

/** Longest description of an agent in a line with its machine. */
const DESCRIBED = 100;

function agentText({ id, description, tags }: Peer['agents'][number]): string {
  const about = description.length > DESCRIBED ? `${description.slice(0, DESCRIBED)}…` : description;
  const parts = [...(tags.length === 0 ? [] : [asCode(tags.join(' '))]), ...(about === '' ? [] : [asCode(about)])];
  return parts.length === 0 ? asCode(id) : `${asCode(id)} (${parts.join(': ')})`;
}

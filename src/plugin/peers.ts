import type { HubApi } from '#src/adapters/hub-api.ts';
import { harmless } from '#src/adapters/terminal.ts';
import { asCode, code } from '#src/plugin/block.ts';
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
}

/** All machines; those first that are online. */
export async function askPeers(hub: HubApi, signal?: AbortSignal): Promise<readonly Peer[]> {
  const [members, others] = await Promise.all([
    hub.ask<NodeView[]>('GET', '/nodes', undefined, signal),
    hub.ask<OpenClawNodeView[]>('GET', '/openclaw-nodes', undefined, signal),
  ]);
  const peers = [...members.filter(({ state }) => state !== 'revoked').map(ofMember), ...others.map(ofOther)];
  return peers.toSorted((a, b) => Number(isOnline(b)) - Number(isOnline(a)) || (a.name < b.name ? -1 : 1));
}

function ofMember({ name, id, role, state, labels, groups, openclaw, lastSeenAt }: NodeView): Peer {
  const commands = openclaw.nodeHost === 'connected' ? openclaw.commands : [];
  return { name, id, role, state, labels, groups, commands, lastSeenAt };
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
  const { name, id, role, state, labels, groups, commands, lastSeenAt } = peer;
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
  ];
  return harmless(parts.join(', ').replaceAll('\n', ' '));
}

import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { canAsk, confirm } from '#src/cli/confirm.ts';
import { ago, printFacts, printJson, printTable, shortId } from '#src/cli/print.ts';
import { say } from '#src/adapters/terminal.ts';
import type { NodeDetail, NodeHostState, NodeView } from '#src/protocol/hub-api.ts';

/** `manage-federation list` */
export async function listNodes(flags: GlobalFlags): Promise<number> {
  const nodes = await (await hubOf(flags)).ask<NodeView[]>('GET', '/nodes');
  if (flags.json) printJson(nodes.map(({ openclaw, ...node }) => ({ ...node, openclaw })));
  else if (nodes.length === 0) say('no nodes yet; on the master: manage-federation token create');
  else {
    printTable(
      ['NAME', 'ROLE', 'STATE', 'OPENCLAW', 'VERSION', 'SEEN', 'ID'],
      nodes.map((node) => [
        node.name,
        node.role,
        node.state,
        NODE_HOST_WORDS[node.openclaw.nodeHost],
        node.version,
        ago(node.lastSeenAt),
        shortId(node.id),
      ]),
    );
  }
  return 0;
}

const NODE_HOST_WORDS: Readonly<Record<NodeHostState, string>> = {
  none: '-',
  unpaired: 'not paired yet',
  disconnected: 'not connected',
  connected: 'connected',
  unknown: 'gateway not reachable',
};

/** `manage-federation show NODE` */
export async function showNode(word: string, flags: GlobalFlags): Promise<number> {
  const node = await (await hubOf(flags)).ask<NodeDetail>('GET', `/nodes/${encodeURIComponent(word)}`);
  if (flags.json) printJson(node);
  else printFacts(nodeFacts(node));
  return 0;
}

function nodeFacts(node: NodeDetail): [string, string][] {
  const labels = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`);
  return [
    ['name', node.name],
    ['role', node.role],
    ['state', node.state],
    ['id', node.id],
    ['fingerprint', node.fingerprint],
    ['address', node.address ?? '-'],
    ['round trip', node.roundTripMs === null ? '-' : `${node.roundTripMs.toFixed(1)} ms`],
    ['version', `${node.version} on ${node.platform} ${node.arch}`],
    ['offers', node.offers.join(', ') || '-'],
    ['labels', labels.join(', ') || '-'],
    ['openclaw', NODE_HOST_WORDS[node.openclaw.nodeHost]],
    ['commands', node.openclaw.commands.join(', ') || '-'],
    ['running', String(node.running)],
    ['approved', `${ago(node.approvedAt)} by ${node.approvedBy}`],
    ['seen', ago(node.lastSeenAt)],
  ];
}

/** `manage-federation revoke NODE`: a person is asked first; a script has said what it wants. */
export async function revokeNode(word: string, flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const path = `/nodes/${encodeURIComponent(word)}`;
  const before = await hub.ask<NodeDetail>('GET', path);
  const isMember = before.state !== 'revoked' && before.role !== 'master';
  if (isMember && flags.yes !== true && canAsk()) await confirm(`revoke ${before.name} (${before.fingerprint})?`);
  const node = await hub.ask<NodeDetail>('POST', `${path}/revoke`);
  if (flags.json) printJson(node);
  else say(`revoked ${node.name}: ${endedText(before)}`);
  return 0;
}

/** Only what was so: nothing was closed or ended on a node that was not there. */
function endedText({ address, running }: NodeDetail): string {
  if (address === null) return 'it was not connected, and is let in no more';
  return running === 0 ? 'its link is closed' : 'its link is closed and its jobs were ended';
}

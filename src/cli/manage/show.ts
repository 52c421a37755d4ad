import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { foundNode, isMember } from '#src/cli/manage/found-node.ts';
import { NODE_HOST_WORDS } from '#src/cli/manage/node-words.ts';
import { missingStep } from '#src/cli/manage/usable.ts';
import { ago, printFacts, printJson } from '#src/cli/print.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import type { Readiness } from '#src/protocol/hub-api/readiness.ts';

/** `manage-federation show NODE` */
export async function showNode(word: string, flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const node = await foundNode(hub, word);
  if (flags.json) printJson(node);
  else if (isMember(node)) printFacts(memberFacts(node));
  else printFacts(openClawFacts(node, await hub.ask<Readiness>('GET', `/nodes/${node.id}/readiness`)));
  return 0;
}

type Fact = [string, string];

function memberFacts(node: NodeDetail): Fact[] {
  const labels = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`);
  return [
    ['name', node.name],
    ['role', node.role],
    ['state', node.drained ? `${node.state}, drained: left out of what means all nodes or a group` : node.state],
    ...factOf('quarantine', node.quarantine),
    ['id', node.id],
    ['fingerprint', node.fingerprint],
    ['address', node.address ?? '-'],
    ...factOf('tailnet', node.tailnet === null ? null : `${node.tailnet.name} (${node.tailnet.stableId})`),
    ['round trip', node.roundTripMs === null ? '-' : `${node.roundTripMs.toFixed(1)} ms`],
    ['version', `${node.version} on ${node.platform} ${node.arch}`],
    ['offers', node.offers.join(', ') || '-'],
    ['models', node.mayOfferModels ? 'may offer them to others' : 'may not offer them to others'],
    ['groups', node.groups.join(', ') || '-'],
    ['labels', labels.join(', ') || '-'],
    ['openclaw', NODE_HOST_WORDS[node.openclaw.nodeHost]],
    ['commands', node.openclaw.commands.join(', ') || '-'],
    ['running', String(node.running)],
    ['approved', `${ago(node.approvedAt)} by ${node.approvedBy}`],
    ['seen', ago(node.lastSeenAt)],
  ];
}

function openClawFacts(node: OpenClawNodeView, readiness: Readiness): Fact[] {
  const step = missingStep(readiness);
  return [
    ['name', node.name],
    ['role', 'node-host: it runs OpenClaw’s own node host or app'],
    ['state', node.state],
    ...factOf('waits for', step?.waitsFor ?? null),
    ...factOf('run', step?.run ?? null),
    ['id', node.id],
    ['fingerprint', node.fingerprint],
    ['version', `OpenClaw ${node.version ?? 'of an unknown version'} on ${node.platform ?? 'an unknown platform'}`],
    ['commands', node.commands.join(', ') || '-'],
    ['approved', `by ${node.approvedBy ?? 'somebody at the gateway itself'}`],
    ['seen', node.lastSeenAt === null ? '-' : ago(node.lastSeenAt)],
  ];
}

function factOf(name: string, value: string | null): Fact[] {
  return value === null ? [] : [[name, value]];
}

import type { HubApi } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseLabelChange } from '#src/core/label.ts';
import { checkNodeName } from '#src/core/node.ts';
import type { NodeDetail } from '#src/protocol/hub-api.ts';

/** `manage-federation rename NODE NAME` */
export async function renameNode(word: string, name: string, flags: GlobalFlags): Promise<number> {
  const body = { name: checkNodeName(name) };
  const hub = await hubOf(flags);
  const before = await memberOf(hub, word);
  const node = await change(hub, before, 'rename', body);
  if (flags.json) printJson(node);
  else
    say(
      before.name === node.name ? `${node.name} has that name` : `${before.name} is ${node.name} now${atGateway(node)}`,
    );
  return 0;
}

/** The gateway hears of the name as soon as it can take it. */
function atGateway({ openclaw }: NodeDetail): string {
  if (openclaw.deviceId === null || openclaw.nodeHost === 'connected') return '';
  return '; OpenClaw’s gateway hears of it when its node host is there';
}

/** `manage-federation label NODE KEY=VALUE… KEY-…` */
export async function labelNode(word: string, changes: readonly string[], flags: GlobalFlags): Promise<number> {
  const labels = Object.fromEntries(changes.map(parseLabelChange));
  const hub = await hubOf(flags);
  const node = await change(hub, await memberOf(hub, word), 'labels', { labels });
  const all = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`);
  if (flags.json) printJson(node);
  else say(`${node.name}: ${all.join(' ') || 'no labels'}`);
  return 0;
}

/** `manage-federation drain NODE…` */
export async function drainNodes(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const nodes = await changeEach(words, 'drain', undefined, flags);
  if (flags.json) printJson(nodes);
  else say(`${namesOf(nodes)}: left out of broadcast, exec --all and groups until: manage-federation undrain`);
  return 0;
}

/** `manage-federation undrain NODE…` */
export async function undrainNodes(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const nodes = await changeEach(words, 'undrain', undefined, flags);
  if (flags.json) printJson(nodes);
  else say(`${namesOf(nodes)}: meant again by broadcast, exec --all and groups`);
  return 0;
}

/** The same change for each; nothing is changed where one of the words means no member. */
export async function changeEach(
  words: readonly string[],
  what: string,
  body: object | undefined,
  flags: GlobalFlags,
): Promise<NodeDetail[]> {
  const hub = await hubOf(flags);
  const members: NodeDetail[] = [];
  for (const word of words) members.push(await memberOf(hub, word));
  const changed: NodeDetail[] = [];
  for (const member of members) changed.push(await change(hub, member, what, body));
  return changed;
}

export function namesOf(nodes: readonly NodeDetail[]): string {
  return [...new Set(nodes.map(({ name }) => name))].join(', ');
}

function change(hub: HubApi, { id }: NodeDetail, what: string, body: object | undefined): Promise<NodeDetail> {
  return hub.ask('POST', `/nodes/${id}/${what}`, body);
}

async function memberOf(hub: HubApi, word: string): Promise<NodeDetail> {
  const node = await hub.ask<NodeDetail>('GET', `/nodes/${encodeURIComponent(word)}`);
  if (node.state !== 'revoked') return node;
  throw new FederationError('NODE_NOT_FOUND', `${node.name} was revoked`, {
    hint: `manage-federation approve ${node.fingerprint}`,
  });
}

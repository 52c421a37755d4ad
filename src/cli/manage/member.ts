import type { HubApi } from '#src/adapters/hub.ts';
import { say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson } from '#src/cli/print.ts';
import { FederationError } from '#src/core/errors.ts';
import { parseLabelChange } from '#src/core/label.ts';
import { checkNodeName } from '#src/core/node.ts';
import { parseSelector } from '#src/core/selector.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';

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
  const before = await memberOf(hub, word);
  const node = await change(hub, before, 'labels', { labels });
  const all = Object.entries(node.labels).map(([key, value]) => `${key}=${value}`);
  const isChanged = Object.keys(labels).some((key) => before.labels[key] !== node.labels[key]);
  if (flags.json) printJson(node);
  else say(`${node.name}: ${all.join(' ') || 'no labels'}${isChanged ? '' : ', as before'}`);
  return 0;
}

/** `manage-federation drain NODE…` */
export async function drainNodes(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const changes = await changeEach(words, 'drain', undefined, flags);
  return sayChanges(changes, ({ drained }) => !drained, flags, {
    done: 'left out of broadcast, exec --all and groups until: manage-federation undrain',
    before: 'drained already',
  });
}

/** `manage-federation undrain NODE…` */
export async function undrainNodes(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const changes = await changeEach(words, 'undrain', undefined, flags);
  return sayChanges(changes, ({ drained }) => drained, flags, {
    done: 'meant again by broadcast, exec --all and groups',
    before: 'not drained before either',
  });
}

/** The same change for each; nothing is changed where one of the words means no member. */
export async function changeEach(
  words: readonly string[],
  what: string,
  body: object | undefined,
  flags: GlobalFlags,
): Promise<NodeChange[]> {
  for (const word of words) refuseMany(word);
  const hub = await hubOf(flags);
  const members: NodeDetail[] = [];
  for (const word of words) members.push(await memberOf(hub, word));
  const changed: NodeChange[] = [];
  for (const before of new Map(members.map((member) => [member.id, member])).values()) {
    changed.push({ before, after: await change(hub, before, what, body) });
  }
  return changed;
}

function refuseMany(word: string): void {
  if (parseSelector(word).kind === 'node') return;
  throw new FederationError('USAGE', `nodes are named one by one here, and ${JSON.stringify(word)} means many`, {
    hint: 'name each of them: manage-federation list',
  });
}

/** A node before and after what was done to it. */
export interface NodeChange {
  readonly before: NodeDetail;
  readonly after: NodeDetail;
}

/** Says of which nodes something was changed, and of which it was so already. Returns the exit code. */
export function sayChanges(
  changes: readonly NodeChange[],
  isChange: (before: NodeDetail) => boolean,
  { json }: GlobalFlags,
  words: { readonly done: string; readonly before: string },
): number {
  if (json) {
    printJson(changes.map(({ after }) => after));
    return 0;
  }
  const { done = [], before = [] } = Object.groupBy(changes, (one) => (isChange(one.before) ? 'done' : 'before'));
  if (done.length > 0) say(`${namesOf(done)}: ${words.done}`);
  if (before.length > 0) say(`${namesOf(before)}: ${words.before}`);
  return 0;
}

function namesOf(changes: readonly NodeChange[]): string {
  return changes.map(({ after }) => after.name).join(', ');
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

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import { bareNode } from '../support/bare-node.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await startFederation({ workers: 3 });
});
afterAll(() => federation[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const { id, labels, groups } of await federation.nodes()) {
    await change(id, 'undrain');
    await change(id, 'groups', { remove: groups });
    await change(id, 'labels', { labels: Object.fromEntries(Object.keys(labels).map((key) => [key, null])) });
  }
});

function change(word: string, what: string, body?: object): Promise<NodeDetail> {
  return federation.post(`/nodes/${encodeURIComponent(word)}/${what}`, body);
}

async function lastAudit(): Promise<Pick<AuditView, 'action' | 'detail'>> {
  const [{ action, detail }] = (await federation.get<AuditView[]>('/audit?limit=1')) as [AuditView];
  return { action, detail };
}

/** What no word of an operator about a name or a group may change. */
const identityOf = ({ id, role, fingerprint, offers, tailnet, approvedBy, approvedAt }: NodeDetail) => ({
  ...{ id, role, fingerprint, offers, tailnet, approvedBy, approvedAt },
});

const targetsOf = async (targets: readonly string[] | 'all') => {
  const { opened } = await federation.runJob({
    kind: 'exec',
    targets: targets === 'all' ? 'all' : [...targets],
    command: { argv: ['true'] },
  });
  return {
    targets: opened!.targets.map(({ node }) => node),
    leftOut: opened!.leftOut.map(({ node, state, drained }) => `${node} ${state}${drained ? ' drained' : ''}`),
  };
};

test('a new name holds at once, for commands, results and lists, and stays over restarts of both', async () => {
  const before = await federation.show('w1');
  const renamed = await change('w1', 'rename', { name: 'cellar' });
  expect(identityOf(renamed)).toEqual(identityOf(before));
  expect(await lastAudit()).toEqual({ action: 'node.rename', detail: { node: 'w1', id: before.id, to: 'cellar' } });
  expect((await federation.run(['cellar'], 'true')).results[0]).toMatchObject({ node: 'cellar', outcome: 'ok' });
  await expect(federation.run(['w1'], 'true')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });

  await federation.restartHub();
  await federation.stop('w1');
  await federation.start('w1');
  await federation.untilOnline('cellar', 'w2', 'w3');
  expect(identityOf(await federation.show('cellar'))).toEqual(identityOf(before));
  expect(await federation.pending()).toEqual([]);
  await change('cellar', 'rename', { name: 'w1' });
});

test('a name belongs to one: a taken one is refused, the old one is free, and who asks under the new one is held', async () => {
  await expect(change('w1', 'rename', { name: 'w2' })).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  await change('w1', 'rename', { name: 'cellar' });
  await using thief = bareNode(federation.hub, { name: 'cellar' });
  await thief.waiting();
  expect(await federation.pending()).toMatchObject([{ held: 'the name cellar belongs to another node' }]);
  await change('w2', 'rename', { name: 'w1' });
  await change('w1', 'rename', { name: 'w2' });
  await change('cellar', 'rename', { name: 'w1' });
  await federation.post('/pairing-requests/cellar/reject');
});

test.each(['', 'No Name', 'a'.repeat(64), 'deadbeefdeadbeef', '\u001b[2J', 'w1\n', '../w2'])(
  'a node is not renamed to %j',
  async (name) => {
    await expect(change('w1', 'rename', { name })).rejects.toMatchObject({ code: 'USAGE' });
    expect((await federation.show('w1')).name).toBe('w1');
  },
);

test('labels are set and taken away one by one, and kept', async () => {
  const before = await federation.show('w1');
  await change('w1', 'labels', { labels: { env: 'home', gpu: 'no' } });
  expect(await lastAudit()).toMatchObject({ action: 'node.label', detail: { labels: { env: 'home', gpu: 'no' } } });
  const { labels, ...rest } = await change('w1', 'labels', { labels: { gpu: null, rack: '' } });
  expect(labels).toEqual({ env: 'home', rack: '' });
  expect(identityOf({ labels, ...rest })).toEqual(identityOf(before));
  await federation.restartHub();
  expect((await federation.show('w1')).labels).toEqual({ env: 'home', rack: '' });
  await federation.untilOnline('w1', 'w2', 'w3');
});

test.each([
  [{ 'self/os': 'linux' }],
  [{ Env: 'x' }],
  [{ '': 'x' }],
  [{ constructor: 1 }],
  [{ env: 'a\u001b[2Jb' }],
  [{ env: 'x'.repeat(257) }],
])('no label is %j', async (labels) => {
  await expect(change('w1', 'labels', { labels })).rejects.toMatchObject({ code: 'USAGE' });
  expect((await federation.show('w1')).labels).toEqual({});
});

test('a node takes 64 labels and 64 groups, and no more', async () => {
  const many = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`l${at}`, 'x']));
  await change('w1', 'labels', { labels: many });
  await expect(change('w1', 'labels', { labels: { more: 'x' } })).rejects.toMatchObject({ code: 'USAGE' });
  await change('w1', 'groups', { add: Object.keys(many) });
  await expect(change('w1', 'groups', { add: ['more'] })).rejects.toMatchObject({ code: 'USAGE' });
  await change('w1', 'labels', { labels: { more: 'x', l0: null } });
});

test('what is so already is not recorded again', async () => {
  await change('w1', 'groups', { add: ['gpu'] });
  await change('w1', 'drain');
  const { detail } = await lastAudit();
  await change('w1', 'groups', { add: ['gpu'] });
  await change('w1', 'drain');
  await change('w1', 'rename', { name: 'w1' });
  expect(await lastAudit()).toEqual({ action: 'node.drain', detail });
});

test('a group means its online members that are not drained, and names who is left out', async () => {
  for (const name of ['w1', 'w2', 'w3']) await change(name, 'groups', { add: ['gpu'] });
  expect(await targetsOf(['@gpu'])).toEqual({ targets: ['w1', 'w2', 'w3'], leftOut: [] });
  await change('w2', 'drain');
  expect(await targetsOf(['@gpu'])).toEqual({ targets: ['w1', 'w3'], leftOut: ['w2 online drained'] });
  expect(await targetsOf('all')).toEqual({ targets: ['w1', 'w3'], leftOut: ['w2 online drained'] });
  // By its name it is meant all the same, once.
  expect(await targetsOf(['w2', '@gpu', 'w1'])).toEqual({ targets: ['w2', 'w1', 'w3'], leftOut: [] });
  await federation.stop('w3');
  await expect.poll(() => federation.isOnline('w3')).toBe(false);
  expect(await targetsOf(['@gpu'])).toEqual({ targets: ['w1'], leftOut: ['w2 online drained', 'w3 offline'] });
  await federation.start('w3');
  await federation.untilOnline('w3');
});

test('a group of nobody is an error that names those that there are, and one of which nobody is ready says so', async () => {
  await expect(federation.run(['@gpu'], 'true')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  await change('w1', 'groups', { add: ['gpu'] });
  await expect(federation.run(['@gpuu'], 'true')).rejects.toMatchObject({
    code: 'NODE_NOT_FOUND',
    hint: 'manage-federation group (known: gpu)',
  });
  await change('w1', 'drain');
  await expect(federation.run(['@gpu'], 'true')).rejects.toMatchObject({
    code: 'NOTHING_MATCHED',
    message: 'no node of @gpu is online and not drained',
    hint: 'manage-federation undrain w1',
  });
});

test('what waits or was revoked is no member to be changed', async () => {
  await using waiting = bareNode(federation.hub, { name: 'waiting' });
  await waiting.waiting();
  for (const [what, body] of [
    ['rename', { name: 'x' }],
    ['labels', { labels: {} }],
    ['groups', {}],
    ['drain'],
  ] as const) {
    await expect(change('waiting', what, body)).rejects.toMatchObject({
      code: 'NODE_NOT_FOUND',
      message: 'waiting waits for approval',
    });
  }
});

test('labels select, one by name, one by value, and of those only who is ready', async () => {
  await change('w1', 'labels', { labels: { gpu: 'rtx', env: 'home' } });
  await change('w2', 'labels', { labels: { tag: 'gpu', env: 'work' } });
  await change('w3', 'labels', { labels: { env: 'home' } });
  expect(await targetsOf(['tags:gpu'])).toEqual({ targets: ['w1', 'w2'], leftOut: [] });
  expect(await targetsOf(['env=home'])).toEqual({ targets: ['w1', 'w3'], leftOut: [] });
  expect(await targetsOf(['tags:gpu', 'env=home', 'w1'])).toEqual({ targets: ['w1', 'w2', 'w3'], leftOut: [] });
  await change('w1', 'drain');
  expect(await targetsOf(['tags:gpu'])).toEqual({ targets: ['w2'], leftOut: ['w1 online drained'] });
  await expect(targetsOf(['gpu=rtx'])).rejects.toMatchObject({
    code: 'NOTHING_MATCHED',
    hint: 'manage-federation undrain w1',
  });
  await expect(targetsOf(['env=hom'])).rejects.toMatchObject({
    code: 'NODE_NOT_FOUND',
    message: 'no node has the label "env=hom"',
    hint: 'manage-federation list (known: env=home, env=work, gpu=rtx, tag=gpu)',
  });
  await expect(targetsOf(['w1', 'tags:arm'])).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  await expect(targetsOf(['self/gpu=rtx'])).rejects.toMatchObject({ code: 'USAGE' });
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { Judgement } from '#src/protocol/hub-api/judgement.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import type { ModelNode } from '../../support/model-node.ts';
import { complete, listedModels, modelNode } from '../../support/model-node.ts';
import { anOffer } from '../../support/models.ts';

let federation: Federation;

beforeEach(async () => {
  federation = await startFederation();
});

afterEach(() => federation[Symbol.asyncDispose]());

/** One that waits for a person or the rules. */
async function asking(name: string, token?: string): Promise<ModelNode> {
  const node = modelNode(federation, name, token === undefined ? {} : { token });
  await node.node.waiting();
  return node;
}

const joined = async (name: string, models: boolean): Promise<ModelNode> =>
  modelNode(federation, name, { token: await federation.token({ models }) });

async function mayOffer(name: string): Promise<boolean> {
  return (await federation.show(name)).mayOfferModels;
}

test('a person who approves a node is told that it may offer models, and can say that it may not', async () => {
  const [w1, w2] = [await asking('w1'), await asking('w2')];
  const risks = (await federation.pending()).map((request) => request.risks);
  expect(risks).toEqual(Array(2).fill(['can run any command', 'may offer models, and read what they are asked']));
  await federation.post('/pairing-requests/w1/approve', {});
  await federation.post('/pairing-requests/w2/approve', { models: false });
  expect((await w1.offer([anOffer()])).json).toEqual({ models: 1, allowed: true });
  expect((await w2.offer([anOffer({ id: 'qwen' })])).json).toEqual({ models: 1, allowed: false });
  expect([await mayOffer('w1'), await mayOffer('w2')]).toEqual([true, false]);
  expect(await listedModels(federation)).toEqual(['llama', 'w1/llama']);
});

test('what a node offers without the right serves nobody, is shown with what allows it, and counts from then on', async () => {
  const [good, evil] = [await joined('good', true), await joined('evil', false)];
  await good.offer([anOffer()]);
  // The model of another, a pin of another, and one that nobody else has.
  await evil.offer([anOffer(), anOffer({ id: 'good/llama' }), anOffer({ id: 'gpt' })]);
  for (let at = 0; at < 5; at++) expect((await complete(federation, 'llama')).json).toEqual({ by: 'good' });
  for (const model of ['evil/llama', 'gpt', 'evil/gpt', 'evil/good/llama']) {
    expect(await complete(federation, model)).toMatchObject({ status: 404 });
  }
  const pinned = await complete(federation, 'llama', { 'x-federation-node': 'evil' });
  expect(pinned.text).toContain('evil has \\"llama\\" and may not offer models');
  expect(pinned.text).toContain('manage-federation models allow evil');
  const files = await complete(federation, 'gpt', { 'x-federation-node': 'evil/ollama' });
  expect(files.status).toBe(404);
  expect(evil.paths).toEqual([]);

  expect(await federation.get('/models/withheld')).toEqual([{ node: 'evil', models: ['llama', 'good/llama', 'gpt'] }]);
  expect((await federation.get<Status>('/status')).models?.problems).toEqual([
    { node: 'evil', problem: 'offers 3 models and may not: manage-federation models allow evil' },
  ]);
  await federation.post('/nodes/evil/models/allow');
  expect((await complete(federation, 'gpt')).json).toEqual({ by: 'evil' });
  expect(await federation.get('/models/withheld')).toEqual([]);
  await federation.post('/nodes/evil/models/deny');
  expect(await complete(federation, 'gpt')).toMatchObject({ status: 404 });
  const audit = await federation.get<AuditView[]>('/audit?limit=1000');
  expect(audit.flatMap(({ action }) => (action.endsWith('-models') ? [action] : []))).toEqual([
    'node.allow-models',
    'node.deny-models',
  ]);
});

test('the right outlives links and the hub, and a node can’t say it of itself', async () => {
  const evil = await joined('evil', false);
  await evil.offer([anOffer()]);
  await evil.node.stop();
  await eventually('it is gone', async () => (await federation.get<unknown[]>('/models/withheld')).length === 0);
  await federation.restartHub();
  const again = modelNode(federation, 'evil', { key: evil.node.key, offers: ['exec', 'node-host', 'models'] });
  await again.offer([anOffer()]);
  expect(await complete(federation, 'llama')).toMatchObject({ status: 404 });
  expect(await mayOffer('evil')).toBe(false);
  // Granted what it asks for, it has no more right to offer models than before.
  await eventually('it wants more', async () => (await federation.pending()).find(({ kind }) => kind === 'more'));
  await federation.approve('evil');
  expect(await mayOffer('evil')).toBe(false);
  expect((await again.offer([{ ...anOffer(), allowed: true } as never])).json).toEqual({ models: 1, allowed: false });
});

test('a rule lets a node in without the right, unless it says so', async () => {
  const rules = [
    '- { name: plain, when: { token: plain }, then: approve }',
    '- { name: servers, when: { token: servers }, then: approve, models: allow }',
  ];
  await writeFile(join(federation.home('master'), 'approval-policy.yaml'), ['rules:', ...rules, ''].join('\n'));
  await eventually('the rules are read', async () => (await federation.get<Status>('/status')).policy.rules === 2);
  for (const [name, by] of [
    ['w1', 'plain'],
    ['w2', 'servers'],
  ] as const) {
    const node = await asking(name, await federation.token({ rules: by }));
    const judgement = await federation.post<Judgement>(`/pairing-requests/${name}/judge`, {});
    expect(judgement).toMatchObject({ done: 'approved', models: by === 'servers' });
    expect((await node.offer([anOffer()])).json).toEqual({ models: 1, allowed: by === 'servers' });
  }
});

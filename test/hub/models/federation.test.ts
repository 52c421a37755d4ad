import { afterEach, beforeEach, expect, test } from 'vitest';
import { MAX_OFFER_BYTES } from '#src/protocol/models.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import type { Answer } from '../../support/http.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { ModelNode } from '../../support/model-node.ts';
import { complete as completeAt, listedModels, modelNode as startNode, putModels } from '../../support/model-node.ts';
import { anOffer } from '../../support/models.ts';

let federation: Federation;

beforeEach(async () => {
  federation = await startFederation();
});

afterEach(() => federation[Symbol.asyncDispose]());

/** A member, which answers with its name. */
async function modelNode(name: string, key?: KeyPair): Promise<ModelNode & { readonly first: string }> {
  const by = key === undefined ? { token: await federation.token({}) } : { key };
  const own = startNode(federation, name, by);
  return Object.assign(own, { first: await own.credential() });
}

const put = (text: string, credential: string, headers: Record<string, string> = {}): Promise<Answer> =>
  putModels(federation, text, credential, headers);
const complete = (model: string, headers: Record<string, string> = {}): Promise<Answer> =>
  completeAt(federation, model, headers);
const listed = (): Promise<string[]> => listedModels(federation);

test('what the nodes offer is served by who has it, and pinned where it is asked so', async () => {
  const [w1, w2] = [await modelNode('w1'), await modelNode('w2')];
  expect((await w1.offer([anOffer()])).json).toEqual({ models: 1, allowed: true });
  await w2.offer([anOffer(), anOffer({ id: 'meta/qwen:8b', name: 'qwen' })]);
  expect(await listed()).toEqual(['llama', 'meta/qwen:8b', 'w1/llama', 'w2/llama', 'w2/meta/qwen:8b']);

  const served = [await complete('llama'), await complete('llama')];
  expect(new Set(served.map(({ text }) => text))).toEqual(new Set(['{"by":"w1"}', '{"by":"w2"}']));
  expect((await complete('w2/llama')).headers).toMatchObject({
    'x-federation-node': 'w2',
    'x-federation-model': 'llama',
    'x-federation-attempts': '1',
  });
  expect((await complete('llama', { 'x-federation-node': 'w1' })).json).toEqual({ by: 'w1' });
  expect((await complete('meta/qwen:8b')).json).toEqual({ by: 'w2' });
  expect(w2.paths).toContain('/models/ollama/v1/chat/completions');
  expect(await complete('lama')).toMatchObject({ status: 404 });
});

test('a conversation stays with its node', async () => {
  const nodes = [await modelNode('w1'), await modelNode('w2'), await modelNode('w3')];
  for (const node of nodes) await node.offer([anOffer()]);
  const by = new Set<unknown>();
  for (let turn = 0; turn < 6; turn++) {
    by.add((await complete('llama', { 'x-federation-session': 'mine' })).headers['x-federation-node']);
    await complete('llama');
  }
  expect(by.size).toBe(1);
});

test('a node whose upstream is gone costs no client an error, and is asked again when it answers the hub', async () => {
  const [w1, w2] = [await modelNode('w1'), await modelNode('w2')];
  await w1.offer([anOffer()]);
  await w2.offer([anOffer()]);
  w1.failure = 'connect';
  for (let at = 0; at < 30; at++) expect((await complete('llama')).json).toEqual({ by: 'w2' });
  const asked = w1.paths.filter((path) => path.endsWith('/chat/completions'));
  expect(asked).toHaveLength(2);

  w1.failure = null;
  await eventually('it was probed', () => w1.paths.includes('/models/ollama/v1/models'));
  await eventually('it serves again', async () => (await complete('llama')).text === '{"by":"w1"}');
});

test('an offer ends with its link, and the credential of that link offers nothing any more', async () => {
  const w1 = await modelNode('w1');
  await w1.offer([anOffer()]);
  await w1.node.stop();
  await eventually('its models are gone', async () => (await listed()).length === 0);
  expect(await w1.offer([anOffer()], w1.first)).toMatchObject({ status: 403 });
  expect(await complete('llama')).toMatchObject({ status: 503 });

  const again = await modelNode('w1', w1.node.key);
  expect(await listed()).toEqual([]);
  expect(await w1.offer([anOffer()], w1.first)).toMatchObject({ status: 403 });
  await again.offer([anOffer()]);
  expect((await complete('llama')).json).toEqual({ by: 'w1' });
});

test('a node that is revoked or drained gets nothing', async () => {
  const [w1, w2] = [await modelNode('w1'), await modelNode('w2')];
  await w1.offer([anOffer()]);
  await w2.offer([anOffer()]);
  await federation.post('/nodes/w1/drain');
  for (let at = 0; at < 3; at++) expect((await complete('llama')).json).toEqual({ by: 'w2' });
  expect((await complete('w1/llama')).json).toEqual({ by: 'w1' });
  await federation.post('/nodes/w1/undrain');
  await federation.post('/nodes/w2/revoke');
  for (let at = 0; at < 3; at++) expect((await complete('llama')).json).toEqual({ by: 'w1' });
  expect(await complete('w2/llama')).toMatchObject({ status: 404 });
  expect(await w2.offer([anOffer()], w2.first)).toMatchObject({ status: 401 });
});

test('while the federation is locked down no model is served, and afterwards it is', async () => {
  const w1 = await modelNode('w1');
  await w1.offer([anOffer()]);
  await federation.post('/lockdown', { reason: 'a drill' });
  const refused = await complete('llama');
  expect(refused.status).toBe(503);
  expect(refused.text).toContain('a drill');
  expect(w1.paths.filter((path) => path.startsWith('/models/'))).toEqual([]);
  await federation.post('/lockdown/lift');
  expect((await complete('llama')).json).toEqual({ by: 'w1' });
});

test('a node can neither flood the hub with offers nor fill it', async () => {
  const w1 = await modelNode('w1');
  const text = (models: unknown) => JSON.stringify({ models });
  const huge = text([anOffer({ description: 'x'.repeat(MAX_OFFER_BYTES) })]);
  expect(await put(huge, w1.first)).toMatchObject({ status: 413 });
  const many = text(Array.from({ length: 1001 }, (_, at) => anOffer({ id: `m${at}` })));
  expect(await put(many, w1.first)).toMatchObject({ status: 400 });
  expect(await put(text([{ ...anOffer(), upstream: '../exec' }]), w1.first)).toMatchObject({ status: 400 });
  expect(await put('{"models":[', w1.first)).toMatchObject({ status: 400 });
  expect(await put(text([]), w1.first, { 'content-type': 'text/plain' })).toMatchObject({ status: 400 });
  expect(await put(text([]), 'x'.repeat(43))).toMatchObject({ status: 401 });
  expect(await listed()).toEqual([]);

  const answers = [];
  for (let at = 0; at < 30; at++) answers.push((await w1.offer([anOffer()])).status);
  expect(answers.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 200));
  expect(answers).toContain(429);
  // Nor by offers that are no offers: none of it is read any more.
  expect(await put('{"models":[', w1.first)).toMatchObject({ status: 429 });
});

test('the operator offers no models: they are a node’s', async () => {
  const { status } = await federation.ask('PUT', '/node/models', { models: [anOffer()] });
  expect(status).toBe(403);
});

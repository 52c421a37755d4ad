import { expect, test } from 'vitest';
import type { ModelAsk } from '#src/hub/models/router.ts';
import { anAsk, anOffer, aSite, ended, NEVER, NOBODY, serve } from '../../support/models.ts';

/** Who would be asked, who not and why. */
function rejections(site: ReturnType<typeof aSite>, ask: ModelAsk): Record<string, string> {
  const { candidates } = site.router.explain(ask);
  return Object.fromEntries(
    candidates.map(({ node, verdict, reason }) => [node, verdict === 'rejected' ? reason : verdict]),
  );
}

test('a model is served by any node that has it, and by turns where they are alike', async () => {
  const site = aSite();
  for (const name of ['w1', 'w2', 'w3']) site.join(name, [anOffer()]);
  site.join('w4', [anOffer({ id: 'other' })]);
  const served = [];
  for (let at = 0; at < 6; at++) served.push(await serve(site));
  expect(served).toEqual(['w1', 'w2', 'w3', 'w1', 'w2', 'w3']);
});

test('a node that says it has a thousand places draws no more than one with many', async () => {
  const site = aSite();
  site.join('honest', [anOffer({ concurrency: 32 })]);
  site.join('boaster', [anOffer({ concurrency: 1024 })]);
  const given: string[] = [];
  for (let at = 0; at < 60; at++) given.push((await site.router.next(anAsk(), NOBODY, NEVER)).node.name);
  expect(given.filter((name) => name === 'honest')).toHaveLength(30);
});

test('node/model pins, also a drained node, and the header does it too', async () => {
  const site = aSite();
  site.join('w1', [anOffer()]);
  site.join('w2', [anOffer()], { drained: true });
  expect(await serve(site, anAsk({ model: 'w2/llama' }))).toBe('w2');
  expect(await serve(site, anAsk({ node: 'w2' }))).toBe('w2');
  expect(await serve(site, anAsk({ node: 'w2', model: 'w2/llama' }))).toBe('w2');
  expect(await serve(site)).toBe('w1');
  await expect(serve(site, anAsk({ node: 'w1', model: 'w2/llama' }))).rejects.toMatchObject({
    code: 'MODEL_NOT_FOUND',
  });
  await expect(serve(site, anAsk({ node: 'w9' }))).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
});

test('no node gets what is pinned to another, whatever it calls its models', async () => {
  const site = aSite();
  site.join('gpu', [anOffer()]);
  site.join('evil', [anOffer({ id: 'gpu/llama' }), anOffer({ id: 'gpu/secret' })]);
  expect(await serve(site, anAsk({ model: 'gpu/llama' }))).toBe('gpu');
  await expect(serve(site, anAsk({ model: 'gpu/secret' }))).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  site.leave('gpu');
  await expect(serve(site, anAsk({ model: 'gpu/llama' }))).rejects.toMatchObject({
    code: 'MODEL_UNAVAILABLE',
    message: 'gpu had "llama" and is not there now',
  });
  expect(site.router.models(anAsk().consumer).map(({ id }) => id)).toEqual(['evil/gpu/llama', 'evil/gpu/secret']);
});

test('a model whose id begins with a node’s name is reached by that node, by others’ pins and by a route', async () => {
  const site = aSite();
  site.join('meta', [anOffer({ id: 'meta/llama' })]);
  site.join('w1', [anOffer({ id: 'meta/llama' })]);
  expect(await serve(site, anAsk({ model: 'meta/llama' }))).toBe('meta');
  expect(await serve(site, anAsk({ model: 'w1/meta/llama' }))).toBe('w1');
  site.route({ alias: 'meta/llama', model: 'meta/llama', labels: { env: 'home' } });
  site.change('w1', { labels: { env: 'home' } });
  expect(await serve(site, anAsk({ model: 'meta/llama' }))).toBe('w1');
});

test('a route leads to the nodes and labels that the owner named', async () => {
  const site = aSite();
  site.join('w1', [anOffer()], { labels: { gpu: 'yes' } });
  const w2 = site.join('w2', [anOffer()], { labels: { gpu: 'no' } });
  site.route({ alias: 'fast', model: 'llama', labels: { gpu: 'yes' } });
  site.route({ alias: 'there', model: 'llama', nodes: [w2.id] });
  site.route({ alias: 'nowhere', model: 'llama', labels: { constructor: 'Object' } });
  expect(await serve(site, anAsk({ model: 'fast' }))).toBe('w1');
  expect(await serve(site, anAsk({ model: 'there' }))).toBe('w2');
  expect(rejections(site, anAsk({ model: 'fast' }))).toEqual({
    w1: 'chosen',
    w2: 'it has not the labels that fast wants: gpu=yes',
  });
  await expect(serve(site, anAsk({ model: 'nowhere' }))).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE' });
  expect(site.router.models(anAsk().consumer).map(({ id, kind, nodes }) => [id, kind, nodes])).toEqual([
    ['fast', 'route', ['w1']],
    ['llama', 'model', ['w1', 'w2']],
    ['there', 'route', ['w2']],
    ['w1/llama', 'pinned', ['w1']],
    ['w2/llama', 'pinned', ['w2']],
  ]);
  // A node that has another key by now is the same node.
  site.join('w2', [anOffer()], { id: 'f'.repeat(64), formerId: w2.id });
  site.change('w1', { drained: true });
  expect(await serve(site, anAsk({ model: 'there' }))).toBe('w2');
});

test('who can’t serve is not asked, and each says why', () => {
  const site = aSite();
  site.join('fits', [anOffer({ contextWindow: 100_000 })]);
  site.join('small', [anOffer({ contextWindow: 1000, input: ['text'] })]);
  site.join('embeds', [anOffer({ endpoints: ['/v1/embeddings'] })]);
  site.join('claude', [anOffer({ api: 'anthropic' })]);
  site.join('drained', [anOffer()], { drained: true });
  site.join('revoked', [anOffer()], { revokedAt: 1 });
  const back = site.join('back', [anOffer()]);
  expect(rejections(site, anAsk({ bytes: 20_000, via: [back.id], hops: 1 }))).toEqual({
    fits: 'chosen',
    small: '20000 bytes do not fit its 1000 tokens',
    embeds: 'it does not answer /v1/chat/completions',
    claude: 'it speaks anthropic, and another is made for /v1/chat/completions',
    drained: 'it is drained',
    revoked: 'it was revoked',
    back: 'the request came by it',
  });
});

test('one that may be too small, is not loaded or does not answer is asked last', async () => {
  const site = aSite();
  site.join('suspect', [anOffer()]);
  site.join('tight', [anOffer({ contextWindow: 1000, input: ['text'] })]);
  site.join('cold', [anOffer({ loaded: false })]);
  site.join('warm', [anOffer({ loaded: true })]);
  site.suspect('suspect');
  const tried = new Set<string>();
  const order = [];
  for (let at = 0; at < 4; at++) {
    const attempt = await site.router.next(anAsk({ bytes: 5000 }), tried, NEVER);
    attempt.end(ended({ failure: 'cancelled', firstByteMs: null }));
    order.push(attempt.node.name);
    tried.add(attempt.node.id);
  }
  expect(order).toEqual(['warm', 'cold', 'tight', 'suspect']);
  await expect(site.router.next(anAsk(), tried, NEVER)).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE' });
});

test('where nobody can serve, the error is the one that fits', async () => {
  const site = aSite();
  const w1 = site.join('w1', [anOffer({ contextWindow: 1000, input: ['text'], endpoints: ['/v1/chat/completions'] })]);
  const refused = (ask: Partial<ModelAsk>) => site.router.next(anAsk(ask), NOBODY, NEVER);
  await expect(refused({ bytes: 100_000 })).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  await expect(refused({ endpoint: '/v1/embeddings' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  await expect(refused({ model: 'lama' })).rejects.toMatchObject({
    code: 'MODEL_NOT_FOUND',
    hint: 'did you mean llama?',
  });
  await expect(refused({ via: [w1.id], hops: 1 })).rejects.toMatchObject({ code: 'LOOP_DETECTED' });
  await expect(refused({ hops: 3 })).rejects.toMatchObject({ code: 'LOOP_DETECTED' });
  await expect(refused({ model: null })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  site.lockDown('locked down by ann');
  await expect(refused({})).rejects.toMatchObject({ code: 'LOCKED_DOWN', message: 'locked down by ann' });
});

test('where a request began is no loop: its own node may serve it by the hub', async () => {
  const site = aSite();
  const w1 = site.join('w1', [anOffer()]);
  expect(await serve(site, anAsk({ via: [w1.id], hops: 0 }))).toBe('w1');
});

test('a path without a model goes to the upstream that the header names', async () => {
  const site = aSite();
  site.join('w1', [anOffer({ endpoints: ['/v1/chat/completions'] })]);
  site.join('w2', [anOffer(), anOffer({ id: 'qwen', upstream: 'vllm' })]);
  const files = anAsk({ endpoint: '/v1/files', model: null });
  expect(await serve(site, { ...files, node: 'w1' })).toBe('w1');
  await expect(serve(site, { ...files, node: 'w2' })).rejects.toMatchObject({
    hint: 'give the header x-federation-node: w2/ollama',
  });
  const attempt = await site.router.next({ ...files, node: 'w2/vllm' }, NOBODY, NEVER);
  expect(attempt.offered.upstream).toBe('vllm');
});

test('a conversation stays where it is until that node is far busier than the others', async () => {
  const site = aSite();
  for (const name of ['w1', 'w2']) site.join(name, [anOffer({ concurrency: 4 })]);
  const ask = anAsk({ affinity: ['mine'] });
  const attempts = [];
  for (let at = 0; at < 5; at++) attempts.push(await site.router.next(ask, NOBODY, NEVER));
  expect(attempts.map(({ node }) => node.name)).toEqual(['w1', 'w1', 'w1', 'w2', 'w2']);
  for (const attempt of attempts) attempt.end(ended());
  expect(await serve(site, ask)).toBe('w2');
  // Another model has another memory.
  expect(site.router.explain(anAsk()).candidates.some(({ reason }) => reason.includes('conversation'))).toBe(false);
});

test('facts are those that hold on every node', () => {
  const site = aSite();
  const cost = { input: 1, output: 2, cacheRead: 3, cacheWrite: 4 };
  site.join('w1', [anOffer({ contextWindow: 8000, reasoning: true, input: ['text', 'image'], cost, loaded: false })]);
  site.join('w2', [
    anOffer({ contextWindow: 4000, maxTokens: 500, reasoning: false, input: ['text'], cost: { ...cost, output: 9 } }),
  ]);
  site.join('w3', [anOffer()]);
  const [listed] = site.router.models(anAsk().consumer);
  expect(listed).toEqual({
    ...{ id: 'llama', kind: 'model', model: 'llama', nodes: ['w1', 'w2', 'w3'], apis: ['openai'], loaded: false },
    facts: { contextWindow: 4000, maxTokens: 500, reasoning: false, input: ['text'], cost: { ...cost, output: 9 } },
  });
});

test('an attempt’s end counts once, and gives its place back once', async () => {
  const site = aSite();
  site.join('w1', [anOffer({ concurrency: 2 })]);
  const [one, two] = [await site.router.next(anAsk(), NOBODY, NEVER), await site.router.next(anAsk(), NOBODY, NEVER)];
  const inFlight = () => site.router.explain(anAsk()).candidates[0]?.inFlight;
  one.end(ended({ failure: 'status', status: 500 }));
  one.end(ended({ failure: 'status', status: 500 }));
  expect(inFlight()).toBe(1);
  expect(site.router.explain(anAsk()).candidates[0]?.reason).not.toContain('500');
  two.end(ended({ failure: 'status', status: 500 }));
  expect(inFlight()).toBe(0);
  expect(site.router.explain(anAsk()).candidates[0]?.reason).toContain('it answered 500');
});

import { expect, test } from 'vitest';
import { affinityKeys } from '#src/core/models/affinity.ts';
import type { AttemptEnd, ModelAsk } from '#src/hub/models/router.ts';
import { eventually } from '../../support/eventually.ts';
import type { Site } from '../../support/models.ts';
import { anAsk, anOffer, aSite, ended, NEVER, NOBODY, serve } from '../../support/models.ts';
import { randomNumbers } from '../../support/random.ts';

const FAILED = { firstByteMs: null } as const;

interface Traffic {
  readonly site: Site;
  readonly requests: number;
  /** Between two requests. */
  readonly everyMs: number;
  /** What the try at that node comes to. */
  readonly outcome: (node: string) => AttemptEnd;
  readonly ask?: ModelAsk;
}

/** Requests one after the other, each tried at up to three nodes: by node, how many it was given. */
async function send({ site, requests, everyMs, outcome, ask = anAsk() }: Traffic) {
  const given = new Map<string, number>();
  let errors = 0;
  for (let request = 0; request < requests; request++) {
    site.pass(everyMs);
    const tried = new Set<string>();
    for (let tries = 0; tries < 3; tries++) {
      const attempt = await site.router.next(ask, tried, NEVER).catch(() => null);
      if (attempt === null) {
        errors += 1;
        break;
      }
      given.set(attempt.node.name, (given.get(attempt.node.name) ?? 0) + 1);
      const end = outcome(attempt.node.name);
      attempt.end(end);
      if (end.failure === null) break;
      tried.add(attempt.node.id);
      if (tries === 2) errors += 1;
    }
  }
  return { errors, given: (name: string) => given.get(name) ?? 0 };
}

test.each([25, 50, 200, 1000])(
  'a node that fails fast gets at most one of a hundred requests after the first twenty, at %i a second',
  async (perSecond) => {
    const site = aSite();
    for (const name of ['bad', 'w1', 'w2', 'w3']) site.join(name, [anOffer()]);
    const outcome = (node: string) =>
      node === 'bad' ? ended({ ...FAILED, failure: 'status', status: 503, totalMs: 1 }) : ended({ firstByteMs: 300 });
    const traffic = { site, everyMs: 1000 / perSecond, outcome };
    const first = await send({ ...traffic, requests: 20 });
    const then = await send({ ...traffic, requests: 10_000 });
    expect(first.given('bad')).toBeLessThanOrEqual(2);
    expect(then.given('bad') / 10_000).toBeLessThanOrEqual(0.01);
    expect(then.errors).toBe(0);
  },
);

test('a node that takes no connection gets nothing after two failures, and is back within five seconds', async () => {
  let isWell = false;
  const site = aSite({ isWell: (name) => name !== 'gone' || isWell });
  for (const name of ['gone', 'w1']) site.join(name, [anOffer()]);
  const outcome = (node: string) =>
    node === 'gone' && !isWell ? ended({ ...FAILED, failure: 'connect', status: null, totalMs: 1500 }) : ended();
  const first = await send({ site, requests: 20, everyMs: 20, outcome });
  expect(first.given('gone')).toBe(2);
  const then = await send({ site, requests: 500, everyMs: 20, outcome });
  expect(then.given('gone')).toBe(0);
  expect(then.errors).toBe(0);

  // The probe itself waits by the real clock: a second after it was put out.
  isWell = true;
  await eventually('it was probed', () => site.requests.includes('/models/ollama/v1/models'));
  const after = await send({ site, requests: 250, everyMs: 20, outcome });
  expect(after.given('gone')).toBeGreaterThan(50);
});

test('what fails for one model says nothing of the node’s others, but an upstream that is gone takes them all', async () => {
  const site = aSite();
  site.join('bad', [anOffer(), anOffer({ id: 'qwen' })]);
  site.join('w1', [anOffer(), anOffer({ id: 'qwen' })]);
  const of = (failure: 'status' | 'connect') => (node: string) =>
    node === 'bad' ? ended({ ...FAILED, failure, status: failure === 'status' ? 503 : null }) : ended();
  const whole = (model: string) =>
    site.router.explain(anAsk({ model })).candidates.map(({ node, verdict }) => [node, verdict]);
  await send({ site, requests: 10, everyMs: 1, outcome: of('status') });
  expect(whole('llama')).toEqual([
    ['w1', 'chosen'],
    ['bad', 'rejected'],
  ]);
  expect(whole('qwen')).not.toContainEqual(['bad', 'rejected']);
  site.pass(1000);
  await send({ site, requests: 10, everyMs: 1, outcome: of('connect'), ask: anAsk({ model: 'qwen' }) });
  expect(whole('qwen')).toContainEqual(['bad', 'rejected']);
  expect(whole('llama')).toContainEqual(['bad', 'rejected']);
});

test('Retry-After is kept while another can serve', async () => {
  const site = aSite();
  for (const name of ['full', 'w1']) site.join(name, [anOffer()]);
  const limited = (node: string) =>
    node === 'full' ? ended({ failure: 'status', status: 429, retryAfterMs: 30_000 }) : ended();
  const first = await send({ site, requests: 10, everyMs: 10, outcome: limited });
  expect(first.given('full')).toBe(1);
  const meanwhile = await send({ site, requests: 290, everyMs: 100, outcome: limited });
  expect(meanwhile.given('full')).toBe(0);
  const after = await send({ site, requests: 20, everyMs: 100, outcome: () => ended() });
  expect(after.given('full')).toBeGreaterThan(5);
});

test('the only node that has a model is asked however it fails: its own answer says more', async () => {
  const site = aSite();
  site.join('w1', [anOffer()]);
  const { given } = await send({
    ...{ site, requests: 50, everyMs: 10 },
    outcome: () => ended({ failure: 'status', status: 500 }),
  });
  expect(given('w1')).toBe(50);
  expect(await serve(site)).toBe('w1');
});

test('a second try is not one that would wait in vain', async () => {
  const site = aSite({ isWell: () => false });
  const [limited] = [site.join('limited', [anOffer()]), site.join('gone', [anOffer()])];
  const outcome = (node: string) => (node === 'gone' ? ended({ ...FAILED, failure: 'connect' }) : ended());
  await send({ site, requests: 10, everyMs: 10, outcome });
  await expect(site.router.next(anAsk(), new Set([limited.id]), NEVER)).rejects.toMatchObject({
    code: 'MODEL_UNAVAILABLE',
  });
  // Where it is the only one that there is, it is asked all the same.
  site.leave('limited');
  expect(await serve(site)).toBe('gone');
});

test('a node that comes back begins anew', async () => {
  const site = aSite();
  for (const name of ['w1', 'w2']) site.join(name, [anOffer()]);
  const outcome = (node: string) => (node === 'w1' ? ended({ ...FAILED, failure: 'connect' }) : ended());
  await send({ site, requests: 10, everyMs: 10, outcome });
  const late = await site.router.next(anAsk({ model: 'w1/llama' }), NOBODY, NEVER);
  site.leave('w1');
  site.join('w1', [anOffer()]);
  // Of the link before.
  late.end(ended({ ...FAILED, failure: 'connect' }));
  expect(site.router.explain(anAsk()).candidates.map(({ verdict }) => verdict)).not.toContain('rejected');
});

test('a trial that streams for long brings its node back by its first byte', async () => {
  const site = aSite();
  for (const name of ['w1', 'w2']) site.join(name, [anOffer()]);
  const outcome = (node: string) => (node === 'w1' ? ended({ ...FAILED, failure: 'status', status: 500 }) : ended());
  await send({ site, requests: 10, everyMs: 10, outcome });
  site.pass(1000);
  const trial = await site.router.next(anAsk({ model: 'w1/llama' }), NOBODY, NEVER);
  const verdicts = () => site.router.explain(anAsk()).candidates.map(({ verdict }) => verdict);
  expect(verdicts()).toContain('rejected');
  trial.answered(100);
  expect(verdicts()).not.toContain('rejected');
  trial.end(ended());
});

test('conversations stay with their node in nine of ten turns, and the nodes share them evenly', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = randomNumbers(seed);
    const site = aSite();
    for (const name of ['w1', 'w2', 'w3', 'w4']) site.join(name, [anOffer({ concurrency: 8 })]);
    const system = 'you are an agent. '.repeat(300);
    const conversations = Array.from({ length: 100 }, (_, at) => ({
      at,
      said: [system, '', `question ${at}`],
      home: '',
    }));
    const running: { over: number; end: () => void }[] = [];
    const given = new Map<string, number>();
    let [turns, hits] = [0, 0];
    for (let request = 0; request < 2000; request++) {
      site.pass(20 + random() * 40);
      for (const one of running.splice(0)) {
        if (one.over <= site.now()) one.end();
        else running.push(one);
      }
      const conversation = conversations[Math.floor(random() * conversations.length)]!;
      const messages = conversation.said.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }));
      const prompt = Buffer.from(JSON.stringify(messages));
      const signs = { consumer: 'operator:ann', session: null, promptCacheKey: null, user: null, prompt };
      const attempt = await site.router.next(
        anAsk({ affinity: affinityKeys(signs), bytes: prompt.length }),
        NOBODY,
        NEVER,
      );
      const { name } = attempt.node;
      given.set(name, (given.get(name) ?? 0) + 1);
      if (conversation.home !== '') {
        turns += 1;
        if (conversation.home === name) hits += 1;
      }
      conversation.home = name;
      conversation.said.push(`answer ${request}`, `question ${request}`);
      const lasts = 100 + random() * 800;
      const firstByteMs = 50 + random() * 50;
      running.push({ over: site.now() + lasts, end: () => attempt.end(ended({ firstByteMs, totalMs: lasts })) });
    }
    expect(hits / turns).toBeGreaterThanOrEqual(0.9);
    expect(Math.max(...given.values()) / (2000 / 4)).toBeLessThanOrEqual(1.5);
  }
});

test('a faster node gets more, and the slower is not left idle when that is busy', async () => {
  const site = aSite();
  for (const name of ['fast', 'slow']) site.join(name, [anOffer({ concurrency: 2 })]);
  for (const [node, firstByteMs] of [
    ['fast', 100],
    ['slow', 1000],
  ] as const) {
    await serve(site, anAsk({ node }), ended({ firstByteMs }));
  }
  const attempts = [];
  for (let at = 0; at < 4; at++) attempts.push(await site.router.next(anAsk(), NOBODY, NEVER));
  expect(attempts.map(({ node }) => node.name)).toEqual(['fast', 'fast', 'slow', 'slow']);
  // What was measured is forgotten after a minute: then it has another chance.
  for (const attempt of attempts) attempt.end(ended({ failure: 'cancelled', firstByteMs: null }));
  site.pass(61_000);
  const again = [await serve(site), await serve(site)];
  expect(again.toSorted()).toEqual(['fast', 'slow']);
});

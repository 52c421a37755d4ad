import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Consumer } from '#src/core/models/key.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import type { ModelKeyDesk } from '#src/hub/models/keys.ts';
import { openModelKeys } from '#src/hub/models/keys.ts';
import { createLateWriter } from '#src/hub/models/late-writer.ts';
import { createPace } from '#src/core/pace.ts';
import type { UsageRecord } from '#src/hub/models/usage.ts';
import type { ModelKeyCreate } from '#src/protocol/model-keys.ts';

const log = createLog({ level: 'error', module: 'test' });

let path: string;
let clock: number;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-keys-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  path = join(folder, 'hub.sqlite');
  clock = Date.parse('2026-11-21T12:00:00Z');
});

async function hub(
  maxKeys?: number,
): Promise<{ keys: ModelKeyDesk; audit(): Promise<string[]>; close(): Promise<void> }> {
  const store = openSqliteStore(path);
  const membership = await openMembership({ store, log, now: () => clock });
  const writer = createLateWriter(store, log);
  const keys = await openModelKeys({ store, membership, writer, ...(maxKeys === undefined ? {} : { maxKeys }) });
  return {
    keys,
    audit: async () =>
      (await store.audit(0, 100)).map(({ action, by, detail }) => `${action} ${by} ${JSON.stringify(detail)}`),
    async close() {
      await writer.close();
      await store.close();
    },
  };
}

async function consumerOf(keys: ModelKeyDesk, wanted: Partial<ModelKeyCreate> = {}): Promise<Consumer> {
  const { secret } = await keys.create({ name: 'ci', ...wanted }, 'ann');
  return keys.authenticate(secret)!;
}

const done = (consumer: Consumer, more: Partial<UsageRecord> = {}): UsageRecord => ({
  ...{ consumer, node: 'n1', model: 'm', endpoint: '/v1/chat/completions', status: 200, attempts: 1 },
  ...{ tokens: { input: 60, output: 40, cached: 0 }, guessed: null, firstByteMs: 10, totalMs: 20, aborted: false },
  ...more,
});

const codeOf = (work: () => void): string => {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('a key is shown once, kept as a hash, and known again by a hub that starts anew', async () => {
  const first = await hub();
  const { key, secret } = await first.keys.create({ name: 'ci', models: ['qwen*'], rpm: 60 }, 'ann');
  expect(secret).toMatch(/^ocfm_[\w-]{43}$/);
  expect(first.keys.authenticate(secret)).toEqual({ kind: 'key', id: key.id, name: 'ci' });
  expect(await first.audit()).toEqual([
    `model.key.create ann {"key":"${key.id.slice(0, 12)}","name":"ci","models":["qwen*"],"agents":[],"budgets":[],"rpm":60,"expiresAt":null}`,
  ]);
  await first.close();
  expect((await readFile(path)).includes(secret)).toBe(false);
  const second = await hub();
  expect(second.keys.authenticate(secret)?.name).toBe('ci');
  expect(second.keys.list()).toMatchObject([
    { key: { name: 'ci', createdBy: 'ann' }, spending: { total: { requests: 0 } } },
  ]);
  await second.close();
});

test('keys that are good for nothing any more take no room', async () => {
  const { keys, close } = await hub(2);
  await consumerOf(keys, { name: 'stays' });
  for (let time = 0; time < 3; time++) {
    await consumerOf(keys, { name: 'comes' });
    await expect(keys.create({ name: 'third' }, 'ann')).rejects.toMatchObject({ code: 'USAGE' });
    await keys.revoke('comes', 'ann');
  }
  expect(keys.list().map(({ key }) => key.name)).toEqual(['stays']);
  await close();
});

test('a key for agents reaches them and no model, until it is revoked; one for models reaches no agent', async () => {
  const { keys, close } = await hub();
  const planner = await consumerOf(keys, { name: 'planner', agents: ['box/*'] });
  expect(keys.agents(planner)).toEqual(['box/*']);
  expect(keys.allows(planner, 'qwen3:8b')).toBe(false);
  expect(codeOf(() => keys.admit(planner, 'qwen3:8b', 0))).toBe('FORBIDDEN');
  expect(keys.agents(await consumerOf(keys, { name: 'cursor' }))).toEqual([]);
  await keys.revoke('planner', 'ann');
  expect(keys.agents(planner)).toEqual([]);
  await close();
});

test('what is no key opens nothing', async () => {
  const { keys, close } = await hub();
  const { secret } = await keys.create({ name: 'ci' }, 'ann');
  for (const other of ['', 'ocfm_', `${secret}x`, secret.slice(5), secret.toUpperCase(), 'x'.repeat(100_000)]) {
    expect(keys.authenticate(other)).toBeNull();
  }
  await close();
});

test('a key that was revoked lets nothing in from then on, also after a restart', async () => {
  const first = await hub();
  const { secret, key } = await first.keys.create({ name: 'ci' }, 'ann');
  const consumer = first.keys.authenticate(secret)!;
  await first.keys.revoke(key.id.slice(0, 8), 'bob');
  expect(first.keys.authenticate(secret)).toBeNull();
  expect(codeOf(() => first.keys.admit(consumer, 'm', 0))).toBe('UNAUTHENTICATED');
  await expect(first.keys.revoke('ci', 'bob')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await first.audit()).toContainEqual(expect.stringMatching(/^model\.key\.revoke bob /));
  await first.close();
  const second = await hub();
  expect(second.keys.authenticate(secret)).toBeNull();
  expect(second.keys.list()).toEqual([]);
  await second.close();
});

test('a key is over when its time is', async () => {
  const { keys, close } = await hub();
  const { secret } = await keys.create({ name: 'ci', ttlSeconds: 60 }, 'ann');
  clock += 59_999;
  expect(keys.authenticate(secret)).not.toBeNull();
  clock += 1;
  expect(keys.authenticate(secret)).toBeNull();
  expect((await keys.create({ name: 'ci' }, 'ann')).key.name).toBe('ci');
  await close();
});

test('what was asked by a key whose time is over stays asked, and what was by one that was revoked does not', async () => {
  const { keys, close } = await hub();
  const over = (await keys.create({ name: 'over', ttlSeconds: 60 }, 'ann')).key.id;
  const revoked = (await keys.create({ name: 'revoked' }, 'ann')).key.id;
  await keys.revoke('revoked', 'ann');
  clock += 3_600_000;
  await keys.create({ name: 'another' }, 'ann');
  expect([keys.stands(over), keys.stands(revoked)]).toEqual([true, false]);
  clock += 31 * 86_400_000;
  await keys.create({ name: 'third' }, 'ann');
  expect(keys.stands(over)).toBe(false);
  await close();
});

test('names are taken once', async () => {
  const { keys, close } = await hub();
  await keys.create({ name: 'ci' }, 'ann');
  await expect(keys.create({ name: 'ci' }, 'ann')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  await keys.revoke('ci', 'ann');
  await keys.create({ name: 'ci' }, 'ann');
  await close();
});

test('a key is for its models, and nodes and operators for all', async () => {
  const { keys, close } = await hub();
  const consumer = await consumerOf(keys, { models: ['qwen*'] });
  expect(codeOf(() => keys.admit(consumer, 'qwen3', 0))).toBe('none');
  for (const model of ['llama', 'box/qwen3', ''])
    expect(codeOf(() => keys.admit(consumer, model, 0))).toBe('FORBIDDEN');
  expect([keys.allows(consumer, 'qwen3'), keys.allows(consumer, 'llama')]).toEqual([true, false]);
  for (const other of [
    { kind: 'operator', name: 'ann' },
    { kind: 'node', id: 'n', name: 'pi' },
  ] as const) {
    expect(codeOf(() => keys.admit(other, 'llama', 0))).toBe('none');
    expect(keys.allows(other, 'llama')).toBe(true);
  }
  await close();
});

test('a budget holds over a restart, and begins anew with its period', async () => {
  const first = await hub();
  const { secret } = await first.keys.create(
    { name: 'ci', budgets: [{ amount: 150, unit: 'tokens', per: 'day' }] },
    'ann',
  );
  const consumer = first.keys.authenticate(secret)!;
  for (const expected of ['none', 'none', 'BUDGET_EXCEEDED']) {
    expect(codeOf(() => first.keys.admit(consumer, 'm', 0))).toBe(expected);
    if (expected === 'none') first.keys.settle(done(consumer));
  }
  await first.close();
  const second = await hub();
  expect(codeOf(() => second.keys.admit(consumer, 'm', 0))).toBe('BUDGET_EXCEEDED');
  clock += 86_400_000;
  expect(codeOf(() => second.keys.admit(consumer, 'm', 0))).toBe('none');
  await second.close();
});

test('requests that are under way hold their part of a budget, so that many at once do not run over it', async () => {
  const { keys, close } = await hub();
  const consumer = await consumerOf(keys, { budgets: [{ amount: 3, unit: 'requests', per: 'total' }] });
  const results = Array.from({ length: 50 }, () => codeOf(() => keys.admit(consumer, 'm', 0)));
  expect(results.filter((code) => code === 'none')).toHaveLength(3);
  expect(results.filter((code) => code === 'MODELS_BUSY')).toHaveLength(47);
  // One of them came to nothing, and its part is there again.
  keys.settle(done(consumer, { node: null, status: 404, tokens: null }));
  expect(codeOf(() => keys.admit(consumer, 'm', 0))).toBe('none');
  for (let at = 0; at < 3; at += 1) keys.settle(done(consumer));
  expect(codeOf(() => keys.admit(consumer, 'm', 0))).toBe('BUDGET_EXCEEDED');
  await close();
});

test('of an answer that does not say what it took, what was reserved counts; of a refusal nothing', async () => {
  const { keys, close } = await hub();
  const consumer = await consumerOf(keys);
  const spent = (): number => keys.list()[0]!.spending.total.tokens;
  keys.admit(consumer, 'm', 0);
  keys.settle(done(consumer, { tokens: null, aborted: true, status: null }));
  expect(spent()).toBe(1000);
  keys.admit(consumer, 'm', 0);
  keys.settle(done(consumer, { tokens: null, status: 503 }));
  expect(spent()).toBe(1000);
  expect(keys.list()[0]!.spending.total.requests).toBe(2);
  await close();
});

test('what does not tell what it took costs what passed, and a large prompt is reserved before it is sent', async () => {
  const { keys, close } = await hub();
  const consumer = await consumerOf(keys, { budgets: [{ amount: 5000, unit: 'tokens', per: 'day' }] });
  expect(keys.countsTokens(consumer)).toBe(true);
  expect(keys.countsTokens({ kind: 'node', id: 'n1', name: 'w1' })).toBe(false);
  keys.admit(consumer, 'm', 4500);
  expect(codeOf(() => keys.admit(consumer, 'm', 0))).toBe('MODELS_BUSY');
  keys.settle(done(consumer, { tokens: null, guessed: 100 }));
  expect(codeOf(() => keys.admit(consumer, 'm', 0))).toBe('none');
  // Who goes before the last part has what was told so far, which may be next to nothing.
  keys.settle(done(consumer, { tokens: { input: 1, output: 1, cached: 0 }, guessed: 4900, aborted: true }));
  expect(codeOf(() => keys.admit(consumer, 'm', 0))).toBe('BUDGET_EXCEEDED');
  await close();
});

test('a key that asks too often is told when to come again', async () => {
  const { keys, close } = await hub();
  const consumer = await consumerOf(keys, { rpm: 2 });
  expect([1, 2, 3].map(() => codeOf(() => keys.takeTurn(consumer)))).toEqual(['none', 'none', 'MODELS_BUSY']);
  expect(() => keys.takeTurn(consumer)).toThrow(expect.objectContaining({ retryAfterMs: expect.any(Number) }));
  await close();
});

test('a pace gives a minute’s turns at once, and then each in its time', () => {
  const pace = createPace(60);
  expect(Array.from({ length: 60 }, () => pace.take(1000))).toEqual(Array.from({ length: 60 }, () => 0));
  expect(pace.take(1000)).toBe(1000);
  expect(pace.take(1500)).toBe(500);
  expect(pace.take(2000)).toBe(0);
  expect(pace.take(2000)).toBe(1000);
});

test.each<[object]>([
  [{ name: 'No Name' }],
  [{ name: 'a', models: [] }],
  [{ name: 'a', models: ['two words'] }],
  [{ name: 'a', agents: ['no-agent'] }],
  [{ name: 'a', agents: ['box/../main'] }],
  [{ name: 'a', budgets: [{ amount: 0, unit: 'tokens', per: 'day' }] }],
  [{ name: 'a', budgets: [{ amount: 1, unit: 'dollars', per: 'day' }] }],
  [{ name: 'a', rpm: 0 }],
  [{ name: 'a', ttlSeconds: 0 }],
  [{ name: 'a', admin: true }],
])('%j makes no key', async (wanted) => {
  const { keys, close } = await hub();
  await expect(keys.create(wanted as ModelKeyCreate, 'ann')).rejects.toMatchObject({ name: 'ZodError' });
  expect(keys.list()).toEqual([]);
  await close();
});

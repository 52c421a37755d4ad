import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Consumer } from '#src/core/models/key.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import { createLateWriter } from '#src/hub/models/late-writer.ts';
import type { UsageLedger, UsageRecord } from '#src/hub/models/usage.ts';
import { openUsage } from '#src/hub/models/usage.ts';
import { modelUsageSchema } from '#src/protocol/model-keys.ts';

let path: string;
let clock: number;
let lines: string[];
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-usage-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  path = join(folder, 'hub.sqlite');
  clock = Date.parse('2026-11-21T12:00:00Z');
  lines = [];
});

async function open(
  listeners: readonly ((record: UsageRecord) => void)[] = [],
): Promise<{ book: UsageLedger; store: Store; close(): Promise<void> }> {
  const log = createLog({ level: 'info', module: 'test', write: (line) => void lines.push(line) });
  const store = openSqliteStore(path);
  const membership = await openMembership({ store, log, now: () => clock });
  const writer = createLateWriter(store, log);
  const nameOf = (id: string): string => ({ n1: 'pi', n2: 'box' })[id] ?? id;
  const book = await openUsage({ store, membership, writer, nameOf, listeners, log });
  return {
    book,
    store,
    async close() {
      await book.close();
      await store.close();
    },
  };
}

const ANN: Consumer = { kind: 'operator', name: 'ann' };
const CI: Consumer = { kind: 'key', id: 'k1', name: 'ci' };
const PI: Consumer = { kind: 'node', id: 'n1', name: 'pi' };

const used = (consumer: Consumer, more: Partial<UsageRecord> = {}): UsageRecord => ({
  ...{ consumer, node: 'n1', model: 'm', endpoint: '/v1/chat/completions', status: 200, attempts: 1 },
  ...{ tokens: { input: 6, output: 4, cached: 1 }, guessed: null, firstByteMs: 10, totalMs: 20, aborted: false },
  ...more,
});

test('requests are counted by consumer, by node and by model', async () => {
  const { book, close } = await open();
  book.record(used(ANN));
  book.record(used(CI, { node: 'n2', firstByteMs: 30, attempts: 2 }));
  book.record(used(CI, { model: 'other', tokens: null, status: 503, firstByteMs: null }));
  book.record(used(PI, { aborted: true, status: null, tokens: null, firstByteMs: 5 }));
  const rowsBy = async (by: 'consumer' | 'node' | 'model') => {
    const usage = await book.usage(by, '2026-11-21');
    expect(modelUsageSchema.parse(usage)).toEqual(usage);
    return usage.rows;
  };
  expect(await rowsBy('consumer')).toMatchObject([
    { name: 'ci', kind: 'key', requests: 2, failed: 1, attempts: 3, tokens: { input: 6, output: 4 }, firstByteMs: 30 },
    { name: 'ann', kind: 'operator', requests: 1, tokens: { input: 6, output: 4, cached: 1 } },
    { name: 'pi', kind: 'node', requests: 1, failed: 0, aborted: 1, untold: 1 },
  ]);
  expect((await rowsBy('node')).map(({ name, requests }) => `${name} ${requests}`)).toEqual(['pi 3', 'box 1']);
  expect(await rowsBy('model')).toMatchObject([
    { name: 'm', requests: 3, firstByteMs: 15, firstByteMaxMs: 30, lastDay: '2026-11-21' },
    { name: 'other', requests: 1, firstByteMs: null },
  ]);
  await close();
});

test('it is kept over a restart, and goes on', async () => {
  const first = await open();
  first.book.record(used(CI));
  await first.close();
  const second = await open();
  second.book.record(used(CI));
  expect((await second.book.usage('consumer', '2026-11-21')).rows).toMatchObject([
    { requests: 2, tokens: { input: 12 } },
  ]);
  await second.close();
});

test('a day that is over is in the audit once, for each consumer, with no word of what was asked', async () => {
  const first = await open();
  first.book.record(used(CI));
  first.book.record(used(CI, { node: 'n2' }));
  first.book.record(used(ANN));
  clock += 86_400_000;
  first.book.record(used(CI));
  await first.close();
  clock += 86_400_000;
  const second = await open();
  const records = (await second.store.audit(0, 100)).map(({ action, by, detail }) => ({ action, by, detail }));
  expect(records.map(({ action, by, detail }) => `${action} ${by} ${detail['day'] as string}`)).toEqual([
    'model.use ci 2026-11-21',
    'model.use ann 2026-11-21',
    'model.use ci 2026-11-22',
  ]);
  expect(records[0]?.detail).toMatchObject({
    kind: 'key',
    used: [
      { node: 'pi', model: 'm', requests: 1 },
      { node: 'box', model: 'm', requests: 1 },
    ],
    more: 0,
  });
  expect((await second.book.usage('consumer', '2026-11-21')).rows[0]).toMatchObject({ name: 'ci', requests: 3 });
  await second.close();
});

test('names that clients make up take no room', async () => {
  const { book, close } = await open();
  for (let at = 0; at < 20; at += 1) book.record(used(CI, { node: null, model: `made-up-${at}`, status: 404 }));
  for (let at = 0; at < 10_050; at += 1) book.record(used(CI, { model: `m${at}` }));
  const { rows } = await book.usage('model', '2026-11-21');
  expect(rows.length).toBeLessThanOrEqual(10_001);
  expect(rows.find(({ name }) => name === '-')).toMatchObject({ failed: 20 });
  expect(rows.reduce((sum, { requests }) => sum + requests, 0)).toBe(10_070);
  await close();
});

test('each request is one line of the log, and others are told of it', async () => {
  const told: UsageRecord[] = [];
  const { book, close } = await open([(record) => told.push(record)]);
  book.record(used(CI));
  await close();
  expect(told).toHaveLength(1);
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    {
      ...{ level: 'info', message: 'a model was used', by: 'ci', kind: 'key', node: 'pi', model: 'm' },
      ...{ status: 200, attempts: 1, tokens: { input: 6, output: 4, cached: 1 }, firstByteMs: 10, totalMs: 20 },
    },
  ]);
});

test('what could not be written is written when there is room', async () => {
  const kept: Change[] = [];
  let isFull = true;
  const log = createLog({ level: 'warn', module: 'test', write: (line) => void lines.push(line) });
  const writer = createLateWriter(
    {
      async commitSoon(changes) {
        if (isFull) throw new FederationError('STORE_FAILED', 'the disk is full');
        kept.push(...changes);
      },
    },
    log,
  );
  let value = 1;
  const count = (): Change => ({ type: 'job', id: String(value), value: {} as never });
  writer.put('a', count);
  await writer.flush();
  expect(lines).toHaveLength(1);
  value = 2;
  isFull = false;
  await writer.close();
  expect(kept).toEqual([{ type: 'job', id: '2', value: {} }]);
});

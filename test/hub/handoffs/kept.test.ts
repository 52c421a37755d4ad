import { writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { Change } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { MessageRecord } from '#src/core/handoff/message.ts';
import { eventually } from '../../support/eventually.ts';
import { ANN, AWAY, hubUnderTest, recordOf, wished } from './hub-under-test.ts';

const DAY_MS = 86_400_000;

/** All that is kept of one that is over, and its events beside the store. */
async function keptOver(folder: string, records: readonly HandoffRecord[]): Promise<Change[]> {
  const line = '{"seq":1,"type":"started","attempt":1,"agent":"main"}\n';
  await Promise.all(records.map(({ id }) => writeFile(join(folder, `${id}.ndjson`), line)));
  return records.flatMap((record): Change[] => [
    { type: 'handoff', id: record.id, value: record },
    {
      ...{ type: 'handoff_end', id: record.id },
      value: { seq: 2, type: 'ended', outcome: 'completed', text: 'done', problem: null, usage: null },
    },
  ]);
}

const over = (at: number, endedAt: number, changed: Partial<HandoffRecord> = {}): HandoffRecord =>
  recordOf(at, { state: 'completed', attempt: 1, node: AWAY, agent: 'main', seq: 2, endedAt, ...changed });

async function refusal(work: Promise<unknown>): Promise<FederationError | null> {
  try {
    await work;
    return null;
  } catch (error) {
    if (error instanceof FederationError) return error;
    throw error;
  }
}

test('what has been over for longer than keepDays is forgotten with its events, and nothing else', async () => {
  const now = Date.now();
  const old = over(1, now - 7.1 * DAY_MS);
  const young = over(2, now - 6.9 * DAY_MS);
  const owed = over(3, now - 8 * DAY_MS, { owed: [AWAY.id] });
  const owedToNobody = over(4, now - 8 * DAY_MS, { owed: ['b'.repeat(64)] });
  const { handoffs, store, fileOf } = await hubUnderTest({
    kept: (folder) => keptOver(folder, [old, young, owed, owedToNobody]),
  });
  for (const { id } of [old, owedToNobody]) {
    await eventually(`the events of ${id} are gone`, () => !existsSync(fileOf(id)));
    expect((await refusal(handoffs.desk.get(id, ANN)))?.code).toBe('HANDOFF_NOT_FOUND');
    expect(await store.handoffEnd(id)).toBeNull();
  }
  // Its node has still to be told that nobody wants it.
  for (const { id } of [young, owed]) {
    expect(await handoffs.desk.get(id, ANN)).toMatchObject({ state: 'completed', text: 'done' });
    expect(existsSync(fileOf(id))).toBe(true);
  }
  expect((await store.handoffs()).map(({ id }) => id).toSorted()).toEqual([young.id, owed.id]);
  // Its key stands for nothing any more.
  expect((await handoffs.desk.create(wished(old.key), ANN)).isNew).toBe(true);
});

test('ten thousand that are over are kept, the latest of them, and the events of no other', async () => {
  const now = Date.now();
  const records = Array.from({ length: 10_003 }, (_, at) => over(at, now - 1000));
  const { store, fileOf } = await hubUnderTest({ kept: (folder) => keptOver(folder, records) });
  const gone = records.slice(0, 3);
  await eventually('the oldest are gone', () => gone.every(({ id }) => !existsSync(fileOf(id))));
  const left = await store.handoffs();
  expect(left).toHaveLength(10_000);
  expect(left.some(({ id }) => gone.some((one) => one.id === id))).toBe(false);
  expect(existsSync(fileOf(records[3]!.id))).toBe(true);
});

test('a hundred of one asker wait and a thousand of all, however many come at once', async () => {
  const { handoffs } = await hubUnderTest({});
  const asker = (name: string) => ({ kind: 'operator', name }) as const;
  const ask = async (name: string, count: number) => {
    const asked = Array.from({ length: count }, (_, at) =>
      refusal(handoffs.desk.create(wished(`k${at}`), asker(name))),
    );
    return (await Promise.all(asked)).filter((one) => one !== null);
  };
  const [first, ...others] = await ask('ann', 130);
  expect(others).toHaveLength(29);
  expect(first).toMatchObject({ code: 'QUEUE_FULL', retryAfterMs: expect.any(Number) });
  expect(first?.message).toBe('100 handoffs of yours wait for a node already');
  // What is there already is the same, also now.
  expect(await handoffs.desk.create(wished('k0'), asker('ann'))).toMatchObject({ isNew: false });
  const names = Array.from({ length: 10 }, (_, at) => `asker-${at}`);
  const refused = (await Promise.all(names.map((name) => ask(name, 95)))).flat();
  expect(refused).toHaveLength(50);
  expect(refused.every(({ code }) => code === 'QUEUE_FULL')).toBe(true);
  expect(handoffs.desk.list(1000, ANN)).toHaveLength(1000);
  const { view } = await handoffs.desk.create(wished('k0'), asker('ann'));
  await handoffs.desk.cancel(view.id, ANN);
  await eventually('one is over', async () => (await handoffs.desk.get(view.id, ANN)).state === 'cancelled');
  expect(await ask('late', 2)).toHaveLength(1);
});

test('what an earlier hub did not come to end in a lockdown is ended, and not begun when it is lifted', async () => {
  const record = recordOf(1);
  const { handoffs } = await hubUnderTest({
    kept: () => [{ type: 'handoff', id: record.id, value: record }],
    denied: () => 'locked down by ann (drill)',
  });
  await eventually('it is over', async () => (await handoffs.desk.get(record.id, ANN)).state === 'cancelled');
  expect((await handoffs.desk.get(record.id, ANN)).problem).toContain('drill');
});

test('one that is written down while a lockdown begins is ended by it, too', async () => {
  const writing = Promise.withResolvers<void>();
  let denied: string | null = null;
  const { handoffs } = await hubUnderTest({
    denied: () => denied,
    beforeCommit: async (changes) => {
      if (denied === null && changes.some(({ type }) => type === 'handoff_work')) await writing.promise;
    },
  });
  const creating = handoffs.desk.create(wished('k'), ANN);
  denied = 'locked down by ann (drill)';
  await handoffs.endAll(denied, 'ann');
  writing.resolve();
  const { view } = await creating;
  await eventually('it is over', async () => (await handoffs.desk.get(view.id, ANN)).state === 'cancelled');
  expect((await handoffs.desk.get(view.id, ANN)).problem).toContain('drill');
});

function message(at: number, changed: Partial<MessageRecord>): MessageRecord {
  return {
    ...{ id: String(at).padStart(26, '0'), key: `k${at}`, payload: 'p', asker: ANN, target: 'w1', node: AWAY },
    ...{ agent: 'main', approval: null, text: 'hello', state: 'waiting', problem: null, createdAt: 0, overAt: null },
    ...changed,
  };
}

test('a message waits seven days for its node, and what came of it is known for seven more', async () => {
  const now = Date.now();
  const tooLong = message(1, { createdAt: now - 7.1 * DAY_MS });
  const waiting = message(2, { createdAt: now - 6.9 * DAY_MS });
  const before = { state: 'delivered', text: '', createdAt: now - 9 * DAY_MS } as const;
  const known = message(3, { ...before, overAt: now - 6.9 * DAY_MS });
  const forgotten = message(4, { ...before, overAt: now - 7.1 * DAY_MS });
  const orphan = message(5, { createdAt: now, node: { id: 'b'.repeat(64), name: 'gone' } });
  const all = [tooLong, waiting, known, forgotten, orphan];
  const { handoffs, store } = await hubUnderTest({
    kept: () => all.map((value): Change => ({ type: 'message', id: value.id, value })),
  });
  const { desk } = handoffs;
  await eventually('it is forgotten', async () => (await store.messages()).length === 4);
  expect((await refusal(desk.message(forgotten.id, ANN)))?.code).toBe('HANDOFF_NOT_FOUND');
  expect(await desk.message(tooLong.id, ANN)).toMatchObject({
    ...{ state: 'refused', problem: 'its node was away too long' },
  });
  expect(await desk.message(orphan.id, ANN)).toMatchObject({
    ...{ state: 'refused', problem: 'its node is no member any more' },
  });
  expect(await desk.message(waiting.id, ANN)).toMatchObject({ state: 'waiting' });
  expect(await desk.message(known.id, ANN)).toMatchObject({ state: 'delivered' });
  // The text of what nobody needs any more is kept nowhere.
  const texts = new Map((await store.messages()).map(({ id, text }) => [id, text]));
  expect([tooLong, orphan, waiting].map(({ id }) => texts.get(id))).toEqual(['', '', 'hello']);
});

test('a list reads no answer, however many there are', async () => {
  const records = Array.from({ length: 100 }, (_, at) => over(at, Date.now() - 1000));
  const { handoffs, store } = await hubUnderTest({ kept: (folder) => keptOver(folder, records) });
  const reads = vi.spyOn(store, 'handoffEnd');
  const listed = handoffs.desk.list(1000, ANN);
  expect(listed).toHaveLength(100);
  expect(listed[0]).toMatchObject({ id: records.at(-1)?.id, state: 'completed', seq: 2 });
  expect(listed[0]).not.toHaveProperty('text');
  expect(await handoffs.desk.get(records[0]!.id, ANN)).toMatchObject({ text: 'done' });
  expect(reads).toHaveBeenCalledTimes(1);
});

import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { Change } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import { createAskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import { openMessages } from '#src/hub/handoffs/messages.ts';
import { aMember, SILENT_LOG } from '../../support/member.ts';
import { ANN, hubUnderTest, wished } from './hub-under-test.ts';

/** A store that takes what is asked of it when the test says so, or not at all. */
function slowStore(type: Change['type']) {
  const asked = Promise.withResolvers<void>();
  const taken = Promise.withResolvers<void>();
  let isDone = false;
  return {
    asked: asked.promise,
    take: () => taken.resolve(),
    refuse: () => taken.reject(new FederationError('STORE_FAILED', 'the disk is full')),
    async beforeCommit(changes: readonly Change[]): Promise<void> {
      if (isDone || !changes.some((change) => change.type === type)) return;
      asked.resolve();
      await taken.promise.finally(() => (isDone = true));
    },
  };
}

/** All that is ready to be done is done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
}

async function withMessages(beforeCommit: (changes: readonly Change[]) => Promise<void>) {
  const stopping = new AbortController();
  const member = aMember({ name: 'w1' });
  const agent = { id: 'main', description: '', tags: [], concurrency: 1 };
  const delivered: string[] = [];
  const messages = await openMessages({
    store: { messages: async () => [], commit: beforeCommit },
    nodes: {
      list: () => [{ ...member, isOnline: true, agents: [agent], member }],
      ...{ member: () => member, link: () => ({ nodeId: member.id }) as never, wasAt: () => false },
    },
    ...{ fleet: { changes: new EventEmitter() }, offered: { changes: new EventEmitter() } },
    ...{ permits: { permit: () => NO_PERMIT }, keys: createAskerKeys([]) },
    calls: {
      async deliver(_link, { id }) {
        delivered.push(id);
        return { agent: 'main', replayed: false };
      },
    },
    load: () => () => ({ running: 0, waiting: 0 }),
    ...{ log: SILENT_LOG, signal: stopping.signal },
  });
  return {
    ...{ messages, delivered },
    async close() {
      stopping.abort();
      await messages.close();
    },
  };
}

const MESSAGE = { key: 'k', target: 'w1/main', message: 'hello' };

test('nobody is told that a handoff is to be done before that is durable', async () => {
  const slow = slowStore('handoff_work');
  const { handoffs, store } = await hubUnderTest(slow);
  const said: string[] = [];
  const creating = [wished('k'), wished('k')].map(async (wish) => {
    const { view, isNew } = await handoffs.desk.create(wish, ANN);
    said.push(view.id);
    return { isNew, kept: (await store.handoffs()).some(({ id }) => id === view.id) };
  });
  await slow.asked;
  await settled();
  expect(said).toEqual([]);
  slow.take();
  expect((await Promise.all(creating)).toSorted((a, b) => Number(b.isNew) - Number(a.isNew))).toEqual([
    { isNew: true, kept: true },
    { isNew: false, kept: true },
  ]);
});

test('a handoff that can’t be written down is refused, and its key stands for nothing', async () => {
  const slow = slowStore('handoff_work');
  const { handoffs } = await hubUnderTest(slow);
  const creating = handoffs.desk.create(wished('k'), ANN);
  slow.refuse();
  await expect(creating).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(handoffs.desk.list(10, ANN)).toEqual([]);
  expect((await handoffs.desk.create(wished('k'), ANN)).isNew).toBe(true);
});

test('nobody is told that a message is to be delivered, nor is it, before that is durable', async () => {
  const slow = slowStore('message');
  const { messages, delivered, close } = await withMessages(slow.beforeCommit);
  const said: string[] = [];
  const sending = messages.send(MESSAGE, ANN).then(({ view }) => void said.push(view.id));
  await slow.asked;
  await settled();
  expect({ said, delivered }).toEqual({ said: [], delivered: [] });
  slow.take();
  await sending;
  await settled();
  expect(delivered).toEqual(said);
  await close();
});

test('a message that can’t be written down is refused, never told, and its key stands for nothing', async () => {
  const slow = slowStore('message');
  const { messages, delivered, close } = await withMessages(slow.beforeCommit);
  const sending = messages.send(MESSAGE, ANN);
  slow.refuse();
  await expect(sending).rejects.toMatchObject({ code: 'STORE_FAILED' });
  await settled();
  expect(delivered).toEqual([]);
  expect((await messages.send(MESSAGE, ANN)).isNew).toBe(true);
  await close();
});

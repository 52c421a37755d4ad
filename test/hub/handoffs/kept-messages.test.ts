import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import type { MessageRecord } from '#src/core/handoff/message.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import { createAskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import { openMessages } from '#src/hub/handoffs/messages.ts';
import { SILENT_LOG } from '../../support/member.ts';

const asker = { kind: 'operator', name: 'ann' } as const;

test('of thousands of messages each is the same for its key as long as it is said to be kept', async () => {
  const now = Date.now();
  const payload = createHash('sha256')
    .update(JSON.stringify(['w1', 'hello']))
    .digest('hex');
  const kept = Array.from({ length: 6000 }, (_, at): MessageRecord => ({
    ...{ id: String(at).padStart(26, '0'), key: `k${at}`, payload, asker, target: 'w1', text: '', problem: null },
    ...{ node: { id: 'n1', name: 'w1' }, agent: 'main', approval: null, state: 'delivered' },
    ...{ createdAt: now - 1000, overAt: now - 500 },
  }));
  const stopping = new AbortController();
  const messages = await openMessages({
    store: { messages: async () => kept, commit: async () => undefined },
    nodes: { list: () => [], member: () => undefined, link: () => undefined, wasAt: () => false },
    fleet: { changes: new EventEmitter() },
    offered: { changes: new EventEmitter() },
    permits: { permit: () => NO_PERMIT },
    keys: createAskerKeys([]),
    calls: { deliver: () => Promise.reject(new Error('not asked')) },
    load: () => () => ({ running: 0, waiting: 0 }),
    ...{ log: SILENT_LOG, signal: stopping.signal },
  });
  await new Promise(setImmediate);
  const { view, isNew } = await messages.send({ key: 'k0', target: 'w1', message: 'hello' }, asker);
  expect({ id: view.id, isNew }).toEqual({ id: kept[0]?.id, isNew: false });
  stopping.abort();
  await messages.close();
});

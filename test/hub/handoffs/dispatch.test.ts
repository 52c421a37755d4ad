import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import { createDispatch } from '#src/hub/handoffs/dispatch.ts';
import { SILENT_LOG } from '../../support/member.ts';

const OVER = {
  id: 'a',
  state: 'waiting',
  node: null,
  cancelling: 'nobody wants it',
  queueUntil: 0,
  deadline: null,
  problem: null,
};

test('an end that the store does not take is not tried as fast as the processor goes', async () => {
  const stopping = new AbortController();
  const record = OVER as unknown as HandoffRecord;
  let tries = 0;
  const dispatch = createDispatch({
    book: { live: () => [record], get: () => record, changes: new EventEmitter() } as unknown as Book,
    nodes: { list: () => [], member: () => undefined, link: () => undefined },
    endings: {
      unplaced: () => Promise.reject(new Error(`disk full, ${(tries += 1)}`)),
      placed: () => Promise.resolve(),
    },
    carry: () => undefined,
    denied: () => null,
    ...{ log: SILENT_LOG, signal: stopping.signal },
  });
  await pause(300);
  stopping.abort();
  await dispatch.done;
  expect(tries).toBeGreaterThan(0);
  // It is many hundred where nothing is waited for.
  expect(tries).toBeLessThan(10);
});

import { EventEmitter } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Asker } from '#src/core/policy.ts';
import type { Book, Turn } from '#src/hub/handoffs/book.ts';
import { createDispatch } from '#src/hub/handoffs/dispatch.ts';
import { eventually } from '../../support/eventually.ts';
import { aMember, SILENT_LOG } from '../../support/member.ts';
import { recordOf } from './hub-under-test.ts';

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
    nodes: { list: () => [], member: () => undefined, link: () => undefined, wasAt: () => false },
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

/** A dispatch of one that waits for w1/main, which is there; and whom it was given to. */
function dispatching(denied: (asker: Asker) => string | null) {
  const stopping = new AbortController();
  const record = recordOf(1, { target: 'w1/main', asker: { kind: 'operator', name: 'laptop', key: 'k1' } });
  const member = aMember({ name: 'w1' });
  const agent = { id: 'main', description: '', tags: [], concurrency: 1 };
  const place = { ...member, isOnline: true, agents: [agent], member };
  const given: (HandoffRecord | undefined)[] = [];
  const book = {
    ...{ live: () => (given.length > 0 ? [] : [record]), changes: new EventEmitter() },
    async change(_id: string, decide: (one: HandoffRecord) => Turn | null) {
      given.push(decide(record)?.next);
      return record;
    },
  };
  const dispatch = createDispatch({
    ...{ book: book as unknown as Book, denied, log: SILENT_LOG, signal: stopping.signal },
    nodes: { list: () => [place], member: () => member, link: () => undefined, wasAt: () => false },
    endings: { unplaced: () => Promise.reject(new Error('not asked')), placed: () => Promise.resolve() },
    carry: () => undefined,
  });
  return {
    given,
    async close() {
      stopping.abort();
      await dispatch.done;
    },
  };
}

test('what is denied to its asker is given to no node, also while that can’t be written down', async () => {
  const asked: Asker[] = [];
  const denied = dispatching((asker) => {
    asked.push(asker);
    return 'its key was revoked';
  });
  await new Promise(setImmediate);
  expect(asked).toMatchObject([{ key: 'k1' }]);
  expect(denied.given).toEqual([]);
  await denied.close();
  const allowed = dispatching(() => null);
  await new Promise(setImmediate);
  expect(allowed.given).toMatchObject([{ state: 'placed', node: { name: 'w1' }, agent: 'main' }]);
  await allowed.close();
});

const ASKER = { kind: 'operator', name: 'ann' } as const;

test.each<[string, (listed: number) => void, readonly string[]]>([
  ['what is wrong with one that waits keeps no other from its place', () => undefined, ['a handoff could not go on']],
  [
    'a look that fails is taken once more',
    (looks) => {
      if (looks === 1) throw new Error('nobody expected this');
    },
    ['what waits could not be looked at', 'a handoff could not go on'],
  ],
])('%s', async (_name, onLook, said) => {
  const stopping = new AbortController();
  const errors: string[] = [];
  const member = aMember({ name: 'w1' });
  const agent = { id: 'main', description: '', tags: [], concurrency: 2 };
  const place = { ...member, isOnline: true, agents: [agent], member };
  const strange = recordOf(1, { target: 'w1', asker: { ...ASKER } });
  const record = recordOf(2, { target: 'w1', asker: ASKER });
  const given = Promise.withResolvers<string>();
  let looks = 0;
  const book = {
    changes: new EventEmitter(),
    *live() {
      if (looks === 0 || looks === 1) onLook((looks += 1));
      yield strange;
      yield record;
    },
    change(id: string) {
      given.resolve(id);
      return new Promise(() => undefined);
    },
  };
  const dispatch = createDispatch({
    book: book as unknown as Book,
    denied(asker) {
      if (asker === strange.asker) throw new Error('nobody expected this');
      return null;
    },
    nodes: { list: () => [place], member: () => member, link: () => undefined, wasAt: () => false },
    endings: { unplaced: () => Promise.reject(new Error('not asked')), placed: () => Promise.resolve() },
    carry: () => undefined,
    log: { ...SILENT_LOG, error: (text: string) => void errors.push(text) },
    signal: stopping.signal,
  });
  expect(await given.promise).toBe(record.id);
  await eventually('all is said', () => errors.length >= said.length);
  expect(errors).toEqual(said);
  stopping.abort();
  await dispatch.done;
});

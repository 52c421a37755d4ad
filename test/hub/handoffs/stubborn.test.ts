import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { createBell } from '#src/hub/handoffs/bell.ts';
import { openBook } from '#src/hub/handoffs/book.ts';
import { carryHandoff } from '#src/hub/handoffs/carry.ts';
import { createEndings } from '#src/hub/handoffs/endings.ts';
import { createMirror } from '#src/hub/handoffs/mirror.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Link } from '#src/link/accept.ts';
import { aMember } from '../../support/member.ts';
import { recordOf } from './hub-under-test.ts';

const id = '01J00000000000000000000000';
const RECORD = recordOf(1, {
  ...{ id, state: 'placed', node: { id: 'n1', name: 'w1' }, agent: 'main', attempt: 1 },
});

test('a node that goes on with what it was told to end does not hold it open for ever', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-stubborn-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = openSqliteStore(join(folder, 'hub.sqlite'));
  onTestFinished(() => store.close());
  const book = await openBook(store);
  await book.add(RECORD, { task: 'count', context: '', files: [] }, []);
  const mirror = createMirror(await openMirrorFiles(folder), (error) => expect.unreachable(String(error)));
  const mirrored = await mirror.hold(id);
  const link = {} as Link;
  const standing = { id, attempt: 1, state: 'started', position: null, seq: 1 } as const;
  let cancels = 0;
  const calls: WorkerCalls = {
    order: async () => standing,
    async cancel() {
      cancels += 1;
      return standing;
    },
    async *events(_link, _id, after, signal) {
      if (after === 0) yield [{ seq: 1, type: 'started', attempt: 1, agent: 'main' }];
      while (!signal.aborted) {
        yield [{ type: 'word', position: null }];
        await pause(5, undefined, { signal }).catch(() => undefined);
      }
    },
    artefact: () => Promise.reject(new Error('not asked')),
    deliver: () => Promise.reject(new Error('not asked')),
  };
  const carried = carryHandoff(id, mirrored, createBell(), true, {
    ...{ book, calls, maxBytes: 1 << 20, lostMs: 100, signal: new AbortController().signal, onNews: () => undefined },
    nodes: { list: () => [], member: () => aMember({ name: 'w1' }), link: () => link, wasAt: () => false },
    endings: createEndings(book, (one) => mirror.hold(one)),
    dispatch: { refused: () => undefined, taken: () => undefined, hasOther: () => false },
  });
  await book.change(id, (record) => ({ next: { ...record, cancelling: 'ann asked for its end' } }));
  await carried;
  const { state, problem, owed } = book.get(id)!;
  expect({ state, problem, owed, cancels }).toEqual({
    ...{ state: 'lost', owed: ['n1'], cancels: 1 },
    problem: 'ann asked for its end; its node does not end it, and may still work on it',
  });
  mirrored.release();
  await mirror.close();
});

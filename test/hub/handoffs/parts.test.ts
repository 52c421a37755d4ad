import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { resolveSettings } from '#src/core/settings.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import { createAskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import { openHandoffs } from '#src/hub/handoffs/handoffs.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Link } from '#src/link/accept.ts';
import { eventually } from '../../support/eventually.ts';
import { aMember, SILENT_LOG } from '../../support/member.ts';
import { ANN, recordOf } from './hub-under-test.ts';

const ids = { w1: 'a'.repeat(64), w2: 'b'.repeat(64) };

const STARTED = recordOf(1, {
  ...{ state: 'started', node: { id: ids.w1, name: 'w1' }, agent: 'main', attempt: 1, startedAt: Date.now() },
});

test('a part whose whole ends while the part is written down is ended, too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'handoffs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const disk = openSqliteStore(join(folder, 'hub.sqlite'));
  await disk.commit([
    { type: 'handoff', id: STARTED.id, value: STARTED },
    { type: 'handoff_work', id: STARTED.id, value: { task: 'all of it', context: '', files: [] } },
  ]);
  const resolved = resolveSettings({
    ...{ flags: {}, environment: {}, file: { hub: { onward: true } }, parseValue: (text: string) => text },
  });
  if (!resolved.ok) throw new Error(resolved.problems.join());
  const { settings } = resolved;
  const written = Promise.withResolvers<void>();
  const store: Store = {
    ...disk,
    async commit(changes) {
      const isPart = changes.some(({ type }) => type === 'handoff_work');
      const isNew = changes.some((change) => change.type === 'handoff' && change.value?.state === 'waiting');
      if (isPart && isNew) await written.promise;
      await disk.commit(changes);
    },
  };
  const ending = Promise.withResolvers<void>();
  const calls = {
    order: async () => ({ id: STARTED.id, attempt: 1, state: 'started', position: null, seq: 1 }),
    async *events() {
      yield [{ seq: 1, type: 'started', attempt: 1, agent: 'main' }];
      await ending.promise;
      yield [{ seq: 2, type: 'ended', outcome: 'completed', text: '', problem: null, usage: null }];
    },
  } as unknown as WorkerCalls;
  const changes: Fleet['changes'] = new EventEmitter();
  const link = { nodeId: ids.w1, generation: 1 } as Link;
  const stopping = new AbortController();
  const handoffs = await openHandoffs({
    settings,
    ...{ store, files: await openMirrorFiles(join(folder, 'handoffs')), calls },
    members: () => new Map(Object.entries(ids).map(([name, id]) => [id, aMember({ id, name })])),
    onMember: () => undefined,
    fleet: { link: (id: string) => (id === ids.w1 ? link : undefined), changes } as unknown as Fleet,
    permits: { permit: () => NO_PERMIT, verdicts: () => Promise.reject(new Error('not asked')) },
    denied: () => null,
    keys: createAskerKeys([]),
    ...{ log: SILENT_LOG, signal: stopping.signal },
  });
  const { desk } = handoffs;
  const wish = {
    ...{ key: 'part', target: 'w2/main', task: 'a part', context: '', files: [], deadline: null },
    ...{ idleTimeoutMs: 60_000, queueTimeoutMs: 600_000, rerunnable: false, cancelOnDisconnect: false },
  };
  const creating = desk.create(wish, { kind: 'node', id: ids.w1 }, STARTED.id);
  ending.resolve();
  await eventually('the whole is over', async () => (await desk.get(STARTED.id, ANN)).state === 'completed');
  written.resolve();
  const { view } = await creating;
  await eventually('the part is over', async () => (await desk.get(view.id, ANN)).state === 'cancelled');
  expect((await desk.get(view.id, ANN)).problem).toBe('what it was a part of is over');
  stopping.abort();
  await handoffs.close();
  await disk.close();
});

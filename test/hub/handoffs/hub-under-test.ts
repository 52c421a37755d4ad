import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openMirrorFiles } from '#src/adapters/store/mirror-files.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import { resolveSettings } from '#src/core/settings.ts';
import { NO_PERMIT } from '#src/hub/approvals/permits.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { HandoffWish } from '#src/hub/handoffs/desk.ts';
import type { Handoffs } from '#src/hub/handoffs/handoffs.ts';
import type { KeyBook } from '#src/hub/handoffs/asker-keys.ts';
import { createAskerKeys } from '#src/hub/handoffs/asker-keys.ts';
import { openHandoffs } from '#src/hub/handoffs/handoffs.ts';
import type { WorkerCalls } from '#src/hub/handoffs/worker-calls.ts';
import { aMember, SILENT_LOG } from '../../support/member.ts';

/** The one member; it is never there. */
export const AWAY = { id: 'a'.repeat(64), name: 'w1' };
export const ANN = { kind: 'operator', name: 'ann' } as const;

export interface HubUnderTest {
  readonly handoffs: Handoffs;
  readonly store: Store;
  /** Of the events of a handoff. */
  readonly fileOf: (id: string) => string;
}

export interface HubUnderTestOptions {
  /** What an earlier hub kept; and what else it did before it was gone. */
  readonly kept?: (folder: string) => readonly Change[] | Promise<readonly Change[]>;
  readonly denied?: () => string | null;
  readonly keys?: readonly KeyBook[];
  /** Resolves when the store may go on. */
  readonly beforeCommit?: (changes: readonly Change[]) => Promise<void>;
}

/** Handoffs on a real store and real files, with one member that is away. */
export async function hubUnderTest({ kept, denied, keys, beforeCommit }: HubUnderTestOptions): Promise<HubUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'handoffs-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const files = await openMirrorFiles(join(folder, 'handoffs'));
  const disk = openSqliteStore(join(folder, 'hub.sqlite'));
  if (kept !== undefined) await disk.commit([...(await kept(join(folder, 'handoffs')))]);
  const store: Store = {
    ...disk,
    async commit(changes) {
      await beforeCommit?.(changes);
      await disk.commit(changes);
    },
  };
  const resolved = resolveSettings({ flags: {}, environment: {}, file: {}, parseValue: (text) => text });
  if (!resolved.ok) throw new Error(resolved.problems.join());
  const changes: Fleet['changes'] = new EventEmitter();
  changes.setMaxListeners(0);
  const lost = () => Promise.reject(new FederationError('LINK_LOST', 'nobody is there'));
  const calls = { order: lost, cancel: lost, artefact: lost, deliver: lost } as unknown as WorkerCalls;
  const stopping = new AbortController();
  const handoffs = await openHandoffs({
    ...{ settings: resolved.settings, store, files, calls },
    members: () => new Map([[AWAY.id, aMember(AWAY)]]),
    onMember: () => undefined,
    fleet: { link: () => undefined, changes } as unknown as Fleet,
    permits: { permit: () => NO_PERMIT, verdicts: () => Promise.reject(new Error('not asked')) },
    denied: denied ?? (() => null),
    keys: createAskerKeys(keys ?? []),
    ...{ log: SILENT_LOG, signal: stopping.signal },
  });
  onTestFinished(async () => {
    stopping.abort();
    await handoffs.close();
    await disk.close();
  });
  return { handoffs, store, fileOf: (id) => join(folder, 'handoffs', `${id}.ndjson`) };
}

export function wished(key: string): HandoffWish {
  return {
    ...{ key, target: AWAY.name, task: 'count', context: '', files: [], deadline: null, idleTimeoutMs: 60_000 },
    ...{ queueTimeoutMs: 600_000, rerunnable: false, cancelOnDisconnect: false },
  };
}

export function recordOf(at: number, changed: Partial<HandoffRecord> = {}): HandoffRecord {
  const now = Date.now();
  return {
    ...{ id: String(at).padStart(26, '0'), key: `k${at}`, payload: 'p', asker: ANN, target: 'w1', task: 'count' },
    ...{ state: 'waiting', cancelling: null, node: null, agent: null, attempt: 0, base: 0, tried: [], owed: [] },
    ...{
      parent: null,
      parentAttempt: null,
      hops: 0,
      path: [],
      approval: null,
      createdAt: now + at,
      startedAt: null,
      endedAt: null,
    },
    ...{ deadline: null, queueUntil: now + 600_000, idleTimeoutMs: 60_000, rerunnable: false },
    ...{ cancelOnDisconnect: false, seq: 0, problem: null, usage: null, artefacts: [] },
    ...changed,
  };
}

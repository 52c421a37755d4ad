import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { FederationError } from '#src/core/errors.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import type { ModelRoutes } from '#src/hub/models/routes.ts';
import { openModelRoutes } from '#src/hub/models/routes.ts';
import { SILENT_LOG } from '../../support/member.ts';

let path: string;

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-routes-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  path = join(folder, 'hub.sqlite');
});

/** The hub's routes from one start of it to its end. */
async function during<T>(work: (routes: ModelRoutes, audit: () => Promise<string[]>) => Promise<T>): Promise<T> {
  const store = openSqliteStore(path);
  try {
    const membership = await openMembership({ store, log: SILENT_LOG, now: () => 1000 });
    const findNode = (word: string): string => {
      if (word.startsWith('w')) return `id-${word}`;
      throw new FederationError('NODE_NOT_FOUND', `no node is named ${word}`);
    };
    const routes = await openModelRoutes({ store, membership, findNode });
    return await work(routes, async () => (await store.audit(0, 10)).map(({ action, by }) => `${action} ${by}`));
  } finally {
    await store.close();
  }
}

test('a route is kept over a restart, with the nodes by their ids', async () => {
  await during(async (routes) => {
    let changes = 0;
    routes.onChange(() => (changes += 1));
    await routes.set({ alias: 'fast', model: 'llama', nodes: ['w1', 'w2', 'w1'], labels: { gpu: 'yes' } }, 'ann');
    await routes.set({ alias: 'cheap', model: 'meta/qwen:8b' }, 'ann');
    await routes.set({ alias: 'cheap', model: 'phi' }, 'bob');
    expect(changes).toBe(3);
  });
  await during(async (routes, audit) => {
    expect(routes.list()).toEqual([
      { alias: 'cheap', model: 'phi', nodes: [], labels: {}, createdAt: 1000, createdBy: 'bob' },
      {
        ...{ alias: 'fast', model: 'llama', nodes: ['id-w1', 'id-w2'], labels: { gpu: 'yes' } },
        ...{ createdAt: 1000, createdBy: 'ann' },
      },
    ]);
    expect(await routes.remove('fast', 'ann')).toMatchObject({ alias: 'fast' });
    expect(await audit()).toEqual(['model.route ann', 'model.route ann', 'model.route bob', 'model.unroute ann']);
  });
  await during(async (routes) => expect(routes.list().map(({ alias }) => alias)).toEqual(['cheap']));
});

test('what names nothing is refused, and nothing of it is kept', async () => {
  await during(async (routes) => {
    await routes.set({ alias: 'fast', model: 'llama' }, 'ann');
    await expect(routes.set({ alias: 'slow', model: 'llama', nodes: ['none'] }, 'ann')).rejects.toMatchObject({
      code: 'NODE_NOT_FOUND',
    });
    await expect(routes.remove('fst', 'ann')).rejects.toMatchObject({ code: 'NOT_FOUND', hint: 'did you mean fast?' });
    await expect(routes.remove('none', 'ann')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(routes.list().map(({ alias }) => alias)).toEqual(['fast']);
  });
});

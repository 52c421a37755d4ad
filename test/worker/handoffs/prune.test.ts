import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import { surplus } from '#src/worker/handoffs/surplus.ts';
import { eventually } from '../../support/eventually.ts';
import type { NodeUnderTest } from './node-under-test.ts';
import { startNode } from './node-under-test.ts';

/** Of a node that keeps nothing for longer than to its next start. */
const settings = { keepDays: 0 };
const folders = async (node: NodeUnderTest) => (await readdir(join(node.folder, 'handoffs'))).toSorted();
const gone = (node: NodeUnderTest) =>
  eventually('its folders are gone', async () => (await folders(node)).length === 0 || null);

it('what is over goes with all its attempts, when its days are over', async () => {
  await using node = await startNode(() => ({ text: 'done' }), { settings });
  const { id } = await node.order();
  await node.events(id);
  await node.order({ id, attempt: 2 });
  await node.events(id);
  expect(await folders(node)).toEqual([`${id}-1`, `${id}-2`]);
  await node.restart();
  await gone(node);
  expect((await node.ask('GET', `/handoffs/${id}`)).status).toBe(404);
});

it('what can’t be read goes after the same days, and is begun by nobody', async () => {
  await using node = await startNode((run) => run.aborted.then(() => undefined), { settings });
  const { id } = await node.order();
  await eventually('it runs', () => node.gateway.running === 1);
  const folder = join(node.folder, 'handoffs', `${id}-1`);
  await rm(folder, { recursive: true });
  await writeFile(folder, 'no folder any more');
  await node.restart();
  await gone(node);
  expect(node.gateway.runs).toHaveLength(1);
});

it('what can’t be removed stays known, so that it is not begun anew', async () => {
  const removals: string[] = [];
  const disk = (store: HandoffStore): HandoffStore => ({
    ...store,
    async remove(name) {
      removals.push(name);
      throw new Error('EIO: i/o error');
    },
  });
  await using node = await startNode(() => ({ text: 'done' }), { settings, disk });
  const { id } = await node.order();
  await node.events(id);
  await node.restart();
  await eventually('it was tried', () => removals.length > 0);
  expect(await node.order({ id })).toMatchObject({ status: 200, body: { state: 'completed' } });
  expect(node.gateway.runs).toHaveLength(1);
});

it('of more than may be kept in all, what was read goes first, and of that the oldest', () => {
  const kept = ['old', 'older, read', 'new, read', 'oldest'].map((id, at) => ({
    ...{ id, bytes: 100, endedAt: [20, 10, 30, 5][at] ?? 0, isRead: id.endsWith('read') },
  }));
  expect(surplus(kept, 400)).toEqual([]);
  expect(surplus(kept, 399)).toEqual(['older, read']);
  expect(surplus(kept, 150)).toEqual(['older, read', 'new, read', 'oldest']);
  expect(surplus([], 0)).toEqual([]);
});

it('a node that keeps more than that in all removes the oldest, and goes on with the rest', async () => {
  await using node = await startNode(() => ({ text: 'done' }), { settings: { keepTotalBytes: 10_000 } });
  const ids: string[] = [];
  for (const context of ['a', 'b', 'c']) {
    const { id } = await node.order({ context: context.repeat(4000) });
    await node.events(id);
    ids.push(id);
  }
  await eventually('each is known to be over', async () => {
    const all = await Promise.all(ids.map((id) => readdir(join(node.folder, 'handoffs', `${id}-1`))));
    return all.every((files) => files.includes('over'));
  });
  await node.restart();
  await eventually('the oldest is gone', async () => (await folders(node)).length === 2);
  expect(await folders(node)).toEqual(
    ids
      .slice(1)
      .map((id) => `${id}-1`)
      .toSorted(),
  );
  expect((await node.ask('GET', `/handoffs/${ids[0]}`)).status).toBe(404);
  expect((await node.events(ids[2] ?? '')).at(-1)).toMatchObject({ outcome: 'completed', text: 'done' });
});

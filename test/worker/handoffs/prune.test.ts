import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
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

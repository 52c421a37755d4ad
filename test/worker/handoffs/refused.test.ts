import { expect, it } from 'vitest';
import type { HandoffStore } from '#src/adapters/store/handoff-store.ts';
import { eventually } from '../../support/eventually.ts';
import { startNode } from './node-under-test.ts';

/** A disk on which an order is there, whole, and the call that wrote it fails nevertheless, as a sync of its folder may. */
function failingDisk() {
  const disk = { fails: true, keeps: false };
  const between = (store: HandoffStore): HandoffStore => ({
    ...store,
    async create(...order) {
      const folder = await store.create(...order);
      if (disk.fails) throw new Error('ENOSPC: no space left on device');
      return folder;
    },
    async remove(name) {
      if (disk.keeps) throw new Error('EIO: i/o error');
      await store.remove(name);
    },
  });
  return { disk, between };
}

it('what is refused because it could not be written down is begun by no daemon after this one', async () => {
  const { disk, between } = failingDisk();
  await using node = await startNode(() => ({ text: 'done' }), { disk: between });
  const { id, body } = await node.order();
  expect(body).toMatchObject({ code: 'DISK_FULL' });
  disk.fails = false;
  await node.restart();
  expect((await node.ask('GET', `/handoffs/${id}`)).body).toMatchObject({ code: 'HANDOFF_NOT_FOUND' });
  await eventually('it knows its agents', async () => (await node.order({ id })).status === 200);
  expect((await node.events(id)).at(-1)).toMatchObject({ outcome: 'completed' });
  expect(node.gateway.runs).toHaveLength(1);
});

it('what may be there in spite of that is not refused as if it were not', async () => {
  const { disk, between } = failingDisk();
  disk.keeps = true;
  await using node = await startNode(() => ({ text: 'done' }), { disk: between });
  expect((await node.order()).body).toMatchObject({ code: 'STEP_FAILED' });
});

it('an answer whose files can’t be kept is one all the same, and says so', async () => {
  const disk = (store: HandoffStore): HandoffStore => ({
    ...store,
    open: (name) => ({ ...store.open(name), seal: () => Promise.reject(new Error('EIO: i/o error')) }),
  });
  await using node = await startNode(() => ({ text: 'done' }), { disk });
  const { id } = await node.order();
  expect((await node.events(id)).at(-1)).toMatchObject({
    ...{ outcome: 'completed', text: 'done' },
    problem: 'its files could not be kept on its node',
  });
});

it('what could not be begun has failed, for nothing can have happened', async () => {
  const disk = (store: HandoffStore): HandoffStore => ({
    ...store,
    open: (name) => ({ ...store.open(name), markStarting: () => Promise.reject(new Error('ENOSPC')) }),
  });
  await using node = await startNode(() => ({ text: 'done' }), { disk });
  const { id } = await node.order();
  expect((await node.events(id)).at(-1)).toMatchObject({ outcome: 'failed' });
  expect(node.gateway.runs).toEqual([]);
});

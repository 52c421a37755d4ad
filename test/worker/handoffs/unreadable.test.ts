import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { startNode } from './node-under-test.ts';

it('what it wrote down and can’t read is lost, whatever is asked by its id, and is begun by nobody', async () => {
  await using node = await startNode((run) => run.aborted.then(() => undefined));
  const { id } = await node.order({ task: 'once' });
  await eventually('it runs', () => node.gateway.running === 1);
  await writeFile(join(node.folder, 'handoffs', `${id}-1`, 'record.json'), '{"order":');
  await node.restart();
  expect(await node.ask('GET', `/handoffs/${id}`)).toMatchObject({ status: 200, body: { state: 'lost' } });
  expect(await node.order({ id, task: 'once' })).toMatchObject({ status: 200, body: { state: 'lost' } });
  const events = await node.events(id);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, at) => at + 1));
  expect(events.at(-1)).toMatchObject({
    outcome: 'lost',
    problem: expect.stringContaining('can’t be read') as unknown,
  });
  expect(node.gateway.runs).toHaveLength(1);
});

it('of which nothing can be read at all, it does not say that it never had it', async () => {
  await using node = await startNode((run) => run.aborted.then(() => undefined));
  const { id } = await node.order({ task: 'once' });
  await eventually('it runs', () => node.gateway.running === 1);
  const folder = join(node.folder, 'handoffs', `${id}-1`);
  await rm(folder, { recursive: true });
  await writeFile(folder, 'no folder any more');
  await node.restart();
  for (const answer of [await node.ask('GET', `/handoffs/${id}`), await node.order({ id, task: 'once' })]) {
    expect(answer).toMatchObject({ status: 500, body: { code: 'STEP_FAILED' } });
  }
  expect(node.gateway.runs).toHaveLength(1);
});

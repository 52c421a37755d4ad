import { expect, it } from 'vitest';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import { handoffSession } from '#src/core/handoff/session.ts';
import { eventually } from '../../support/eventually.ts';
import { startNode } from './node-under-test.ts';

const said = (events: readonly HandoffEvent[]): string =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');

it('a daemon that is started again follows the run of the one before, and begins none', async () => {
  const go = Promise.withResolvers<void>();
  await using node = await startNode(async (run) => {
    run.say('before ');
    await go.promise;
    run.say('after');
  });
  const { id } = await node.order();
  const first = node.follow(id);
  await eventually('it said something', () => said(first.events) === 'before ');
  await node.restart();
  const second = node.follow(id, first.events.at(-1)?.seq ?? 0);
  await eventually('it is connected again', () => node.handoffs.working(id) !== null);
  go.resolve();
  await second.over;
  const all = [...first.events, ...second.events];
  expect(all.map(({ seq }) => seq)).toEqual(all.map((_, at) => at + 1));
  expect(all.at(-1)).toMatchObject({ type: 'ended', outcome: 'completed', text: 'before after' });
  expect(all.filter(({ type }) => type === 'started')).toHaveLength(1);
  expect(node.gateway.runs).toHaveLength(1);
});

it('what waited goes on waiting after a restart, and begins in its turn', async () => {
  const go = Promise.withResolvers<void>();
  const agents = [{ id: 'main', description: '', tags: [], concurrency: 1 }];
  await using node = await startNode((run) => go.promise.then(() => run.say('done')), { settings: { agents } });
  const one = await node.order();
  await eventually('it runs', () => node.gateway.running === 1);
  const two = await node.order({ files: [{ name: 'a.txt', content: Buffer.from('hello').toString('base64') }] });
  await node.restart();
  await eventually(
    'it waits again',
    async () => (await node.ask('GET', `/handoffs/${two.id}`)).body.state === 'waiting',
  );
  go.resolve();
  expect((await node.events(one.id)).at(-1)).toMatchObject({ outcome: 'completed' });
  expect((await node.events(two.id)).at(-1)).toMatchObject({ outcome: 'completed' });
  expect(node.gateway.runs.map(({ key }) => key)).toEqual([`${one.id}-1`, `${two.id}-1`]);
}, 60_000);

it('a gateway whose connection broke under a run is asked how it ended', async () => {
  const go = Promise.withResolvers<void>();
  await using node = await startNode(async (run) => {
    run.say('one ');
    await go.promise;
    run.say('two ');
    run.say('three');
  });
  const { id } = await node.order();
  const following = node.follow(id);
  await eventually('it said something', () => said(following.events) !== '');
  node.gateway.disconnect();
  go.resolve();
  await following.over;
  expect(following.events.at(-1)).toMatchObject({ outcome: 'completed', text: 'one two three' });
  expect(node.gateway.runs).toHaveLength(1);
});

it('a gateway that died goes on by itself, and its end is the end', async () => {
  await using node = await startNode(async (run) => {
    run.say('begun');
    await run.aborted;
  });
  const { id } = await node.order();
  const following = node.follow(id);
  await eventually('it said something', () => said(following.events) !== '');
  await node.gateway.die();
  await node.gateway.listen();
  await eventually('it is connected', async () => (await node.order()).status === 200);
  node.gateway.recover(handoffSession('main', id), 'done after all');
  await following.over;
  expect(following.events.at(-1)).toMatchObject({ outcome: 'completed', text: 'done after all' });
  expect(node.gateway.runs.filter(({ key }) => key === `${id}-1`)).toHaveLength(1);
});

it('after a power cut the events go on behind what somebody has read', async () => {
  const go = Promise.withResolvers<void>();
  await using node = await startNode(async (run) => {
    run.say('before');
    await go.promise;
  });
  const { id } = await node.order();
  const first = node.follow(id);
  await eventually('it said something', () => said(first.events) !== '');
  await node.restart('another boot');
  go.resolve();
  await eventually('it ended', () => node.gateway.running === 0);
  expect((await node.ask('GET', `/handoffs/${id}`)).body).toMatchObject({ state: 'started' });
  const events = await node.events(id, 7);
  expect(events).toMatchObject([{ seq: 8, type: 'ended', outcome: 'completed' }]);
  expect(await node.events(id, 7)).toEqual(events);
});

it('an attempt that is over is fenced by the next', async () => {
  await using node = await startNode(async (run) => {
    if (run.key.endsWith('-1')) await run.aborted;
    return run.key.endsWith('-1') ? { status: 'timeout', stopReason: 'rpc', text: '' } : { text: 'second' };
  });
  const { id } = await node.order();
  await eventually('it runs', () => node.gateway.running === 1);
  const second = await node.order({ id, attempt: 2 });
  expect(second.body).toMatchObject({ attempt: 2 });
  const events = await node.events(id);
  expect(events[0]).toMatchObject({ type: 'started', attempt: 2 });
  expect(events.at(-1)).toMatchObject({ text: 'second' });
  expect(await node.order({ id, attempt: 1 })).toMatchObject({ status: 409, body: { code: 'HANDOFF_CONFLICT' } });
});

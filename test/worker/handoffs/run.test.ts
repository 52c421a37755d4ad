import { expect, it } from 'vitest';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import { handoffSaidSchema } from '#src/protocol/handoffs.ts';
import { eventually } from '../../support/eventually.ts';
import { startNode } from './node-under-test.ts';

const seqs = (events: readonly HandoffEvent[]): number[] => events.map(({ seq }) => seq);
const said = (events: readonly HandoffEvent[]): string =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('');

it('hands a task to an agent and tells what it says, does and answers', async () => {
  await using node = await startNode(async (run) => {
    run.say('Let me ');
    run.say('look.');
    run.tool('c1', 'start', { args: { command: 'ls' } });
    run.tool('c1', 'result', { result: { content: [{ type: 'text', text: 'a\nb' }] }, isError: false });
    run.say('Two files.', '2');
    return { text: 'Two files.' };
  });
  const { status, body, id } = await node.order({ task: 'how many files?', context: 'in the home' });
  expect({ status, state: body.state }).toEqual({
    status: 200,
    state: expect.stringMatching(/waiting|started|completed/),
  });
  const events = await node.events(id);
  expect(seqs(events)).toEqual(events.map((_, at) => at + 1));
  for (const event of events) expect(handoffSaidSchema.parse(event)).toEqual(event);
  expect(events[0]).toEqual({ seq: 1, type: 'started', attempt: 1, agent: 'main' });
  expect(said(events)).toBe('Let me look.Two files.');
  expect(events.filter(({ type }) => type === 'tool')).toEqual([
    expect.objectContaining({ call: 'c1', name: 'exec', phase: 'start', text: '{"command":"ls"}', failed: false }),
    expect.objectContaining({ call: 'c1', name: 'exec', phase: 'result', text: 'a\nb', failed: false }),
  ]);
  expect(events.at(-1)).toMatchObject({
    type: 'ended',
    outcome: 'completed',
    text: 'Two files.',
    problem: null,
    usage: { input: 11, output: 7 },
  });
  const [run] = node.gateway.runs;
  expect(run).toMatchObject({ key: `${id}-1`, session: `agent:main:handoff:${id.toLowerCase()}` });
  expect(run?.message).toMatch(/^how many files\?\n\n.*in the home/su);
  expect((await node.ask('GET', `/handoffs/${id}`)).body).toMatchObject({ state: 'completed', seq: events.length });
});

it('the same order again is the same handoff, another one of its id is refused', async () => {
  await using node = await startNode(() => ({ text: 'done' }));
  const { id } = await node.order({ task: 'one' });
  const again = await Promise.all(Array.from({ length: 20 }, () => node.order({ id, task: 'one' })));
  expect(again.map(({ status }) => status)).toEqual(again.map(() => 200));
  expect(await node.order({ id, task: 'another' })).toMatchObject({ status: 409, body: { code: 'HANDOFF_CONFLICT' } });
  await node.events(id);
  expect(node.gateway.runs).toHaveLength(1);
  expect(await node.ask('GET', '/handoffs/01ARZ3NDEKTSV4RRFFQ69G5FAV')).toMatchObject({
    status: 404,
    body: { code: 'HANDOFF_NOT_FOUND' },
  });
});

it('twenty orders of one id at once are one run', async () => {
  await using node = await startNode(() => ({ text: 'done' }));
  const { id } = await node.order();
  const fresh = `${id.slice(0, -4)}ZZZZ`;
  const all = await Promise.all(Array.from({ length: 20 }, () => node.order({ id: fresh })));
  expect(new Set(all.map(({ status }) => status))).toEqual(new Set([200]));
  await node.events(fresh);
  expect(node.gateway.runs.filter(({ key }) => key === `${fresh}-1`)).toHaveLength(1);
});

it('one that runs is cancelled, and what it said is kept', async () => {
  await using node = await startNode(async (run) => {
    run.say('I begin');
    await run.aborted;
    return { status: 'timeout', stopReason: 'rpc', text: '' };
  });
  const { id } = await node.order();
  const following = node.follow(id);
  await eventually('it said something', () => said(following.events) !== '');
  expect((await node.ask('DELETE', `/handoffs/${id}`)).status).toBe(202);
  await following.over;
  expect(following.events.at(-1)).toMatchObject({ type: 'ended', outcome: 'cancelled', problem: 'it was cancelled' });
  expect(said(following.events)).toBe('I begin');
  expect(node.gateway.running).toBe(0);
  expect((await node.ask('DELETE', `/handoffs/${id}`)).body).toMatchObject({ state: 'cancelled' });
});

it('those that wait are told their place, and cancelled before they begin', async () => {
  const go = Promise.withResolvers<void>();
  await using node = await startNode(() => go.promise, {
    settings: { agents: [{ id: 'main', description: '', tags: [], concurrency: 1 }], queueMax: 2 },
  });
  const first = await node.order();
  await eventually('it runs', () => node.gateway.running === 1);
  const [second, third] = [await node.order(), await node.order()];
  expect(second.body).toMatchObject({ state: 'waiting', position: 1, seq: 0 });
  expect(third.body).toMatchObject({ state: 'waiting', position: 2 });
  expect(await node.order()).toMatchObject({ status: 503, body: { code: 'QUEUE_FULL' } });
  const following = node.follow(third.id);
  await eventually('it is told its place', () => following.words.some(({ position }) => position === 2));
  await node.ask('DELETE', `/handoffs/${second.id}`);
  expect(await node.events(second.id)).toMatchObject([{ seq: 1, type: 'ended', outcome: 'cancelled' }]);
  await eventually('it moved up', () => following.words.some(({ position }) => position === 1));
  go.resolve();
  expect((await node.events(first.id)).at(-1)).toMatchObject({ outcome: 'completed' });
  await following.over;
  expect(following.events.at(-1)).toMatchObject({ outcome: 'completed' });
  expect(node.gateway.runs).toHaveLength(2);
});

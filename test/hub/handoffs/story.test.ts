import { expect, test } from 'vitest';
import type { AgentView, HandoffView } from '#src/protocol/handoffs.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import { startFederation } from '../../support/federation.ts';
import { eventsOf, hand, handoffWish, standingOf, untilState } from '../../support/handoff.ts';

test('it is given to the agent, and whoever follows hears all of it in order', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1', [{ id: 'coder', tags: ['coding'], description: 'writes' }]);
  expect(await federation.get<AgentView[]>('/agents')).toMatchObject([
    { node: 'w1', id: 'coder', description: 'writes', tags: ['coding'], concurrency: 1, running: 0, waiting: 0 },
  ]);
  node.onTaken = (taken) => {
    node.start(taken);
    node.say(taken, { type: 'text', text: 'one ' });
    node.say(taken, { type: 'text', text: 'two' });
    node.end(taken, 'one two');
  };
  const view = await hand(federation, { target: 'tags:coding', context: 'of /srv', deadline: null });
  const events = await eventsOf(federation, view.id);
  expect(events).toEqual([
    { seq: 1, type: 'started', attempt: 1, agent: 'coder' },
    { seq: 2, type: 'text', text: 'one ' },
    { seq: 3, type: 'text', text: 'two' },
    { seq: 4, type: 'ended', outcome: 'completed', text: 'one two', problem: null, usage: null },
  ]);
  expect(await eventsOf(federation, view.id, 2)).toEqual(events.slice(2));
  expect(await eventsOf(federation, view.id, 4)).toEqual([]);
  expect(await standingOf(federation, view.id)).toMatchObject({
    ...{ state: 'completed', seq: 4, attempt: 1, text: 'one two', agent: 'coder', target: 'tags:coding' },
    node: { name: 'w1' },
  });
  expect([...node.taken.values()][0]?.order).toMatchObject({ task: 'count the files', context: 'of /srv', hops: 0 });
});

test('the same key is the same handoff, a hundred times at once; with another payload it is refused', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  const wish = handoffWish();
  const answers = await Promise.all(Array.from({ length: 100 }, () => federation.ask('POST', '/handoffs', wish)));
  expect(new Set(answers.map(({ json }) => (json as HandoffView).id)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  await eventually('it is taken', () => node.taken.size === 1);
  for (const other of [{ task: 'another' }, { target: 'main' }, { context: 'more' }, { rerunnable: true }]) {
    const { status, json } = await federation.ask('POST', '/handoffs', { ...wish, ...other });
    expect({ status, json }).toMatchObject({ status: 409, json: { code: 'HANDOFF_CONFLICT' } });
  }
  expect(node.asked.filter((what) => what === 'POST /handoffs')).toHaveLength(1);
});

test('its end is asked for, and it ends as its node says', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.onTaken = (taken) => node.start(taken);
  const { id } = await hand(federation);
  await untilState(federation, id, 'started');
  const { status, json } = await federation.ask('DELETE', `/handoffs/${id}`);
  expect({ status, json }).toMatchObject({ status: 202, json: { cancelling: true, state: 'started' } });
  const taken = node.taken.get(id)!;
  await eventually('the node is told', () => taken.isCancelled);
  taken.isOver = true;
  node.say(taken, { type: 'ended', outcome: 'cancelled', text: '', problem: 'asked for', usage: null });
  expect(await untilState(federation, id, 'cancelled')).toMatchObject({ problem: 'asked for', seq: 2 });
});

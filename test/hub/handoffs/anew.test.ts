import { expect, test } from 'vitest';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import type { AgentNode } from '../../support/agent-node.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, handoffWish, standingOf, untilState } from '../../support/handoff.ts';

/** Says of what it works on that nobody knows how it ended. */
function lose(node: AgentNode, id: string): void {
  const taken = node.taken.get(id)!;
  taken.isOver = true;
  node.say(taken, { type: 'ended', outcome: 'lost', text: '', problem: 'the gateway went', usage: null });
}

test('parts of an attempt that was lost end with it, and those of the next go on', async () => {
  await using federation = await startFederation({ hub: { hub: { onward: true } } });
  const first = await offeringNode(federation, 'w1');
  const helper = await offeringNode(federation, 'w2', [{ id: 'coder', concurrency: 4 }]);
  for (const node of [first, helper]) node.onTaken = (taken) => node.start(taken);
  const whole = await hand(federation, { target: 'main', rerunnable: true });
  await untilState(federation, whole.id, 'started');
  const next = await offeringNode(federation, 'w3');
  next.onTaken = (taken) => next.start(taken);
  const handOn = async (node: AgentNode): Promise<HandoffView> => {
    const answer = await node.ask('POST', '/node/handoffs', { ...handoffWish({ target: 'w2' }), parent: whole.id });
    expect(answer.status).toBe(201);
    return untilState(federation, (answer.json as HandoffView).id, 'started');
  };
  const early = await handOn(first);
  lose(first, whole.id);
  await eventually('the next has begun', async () => {
    const { state, node } = await standingOf(federation, whole.id);
    return state === 'started' && node?.name === 'w3';
  });
  const late = await handOn(next);
  const taken = helper.taken.get(early.id)!;
  await eventually('the part of the first attempt is ended', () => taken.isCancelled);
  taken.isOver = true;
  helper.say(taken, { type: 'ended', outcome: 'cancelled', text: '', problem: null, usage: null });
  await untilState(federation, early.id, 'cancelled');
  expect(await standingOf(federation, late.id)).toMatchObject({ state: 'started', cancelling: false });
  expect(JSON.stringify(await federation.get('/audit?limit=100'))).toContain('"action":"handoff.cancel","by":"hub"');
});

test('a machine that is enrolled anew does not get back what it lost', async () => {
  await using federation = await startFederation();
  const first = await offeringNode(federation, 'w1');
  const full = await offeringNode(federation, 'w2');
  let isFull = true;
  full.mishap = (what) => (what === 'POST /handoffs' && isFull ? { code: 'QUEUE_FULL' } : undefined);
  first.onTaken = (taken) => first.start(taken);
  const { id } = await hand(federation, { target: 'main', rerunnable: true });
  await untilState(federation, id, 'started');
  lose(first, id);
  await eventually('the other has no room', () => full.asked.includes('POST /handoffs'));
  await untilState(federation, id, 'waiting');
  await federation.post('/nodes/w1/revoke');
  const anew = await offeringNode(federation, 'w1');
  // What is given to it now was looked at after the one that waits.
  const other = await hand(federation, { target: 'w1' });
  await eventually('it has the other', () => anew.taken.has(other.id));
  expect([...anew.taken.keys()]).toEqual([other.id]);
  isFull = false;
  await eventually('the other node has it', () => full.taken.has(id));
  expect([...anew.taken.keys()]).toEqual([other.id]);
});

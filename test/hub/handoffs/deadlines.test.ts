import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { HandoffCreate } from '#src/protocol/handoffs.ts';
import type { AgentNode, Taken } from '../../support/agent-node.ts';
import { agentNode, offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { eventsOf, hand, standingOf, untilState } from '../../support/handoff.ts';
import { newKey } from '../../support/link.ts';

/** By how much the clock of this process is ahead; timers that are set already are as late as they were. */
let ahead = 0;

beforeEach(() => {
  const { now } = Date;
  ahead = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => now() + ahead);
});
afterEach(() => vi.restoreAllMocks());

const begins = (node: AgentNode) => (taken: Taken) => node.start(taken);

async function goes(federation: Federation, node: AgentNode, name: string): Promise<void> {
  await node.node.stop();
  await eventually(`${name} is away`, async () => !(await federation.isOnline(name)));
}

const within = (ms: number): Partial<HandoffCreate> => ({ deadline: new Date(Date.now() + ms).toISOString() });

test('a node that is there says itself that its time was over, whether it had begun or not', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  for (const isBegun of [false, true]) {
    node.onTaken = (taken) => {
      if (isBegun) node.start(taken);
      taken.isOver = true;
      node.say(taken, { type: 'ended', outcome: 'expired', text: '', problem: 'too late', usage: null });
    };
    const { id } = await hand(federation, within(60_000));
    expect(await untilState(federation, id, 'expired')).toMatchObject({ problem: 'too late' });
    const { leftMs } = node.taken.get(id)!.order;
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(60_000);
  }
});

test('a node that is back long after the deadline, and does not say how it ended: it is lost, and ended there', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  // Takes it, and says nothing.
  const { id } = await hand(federation, within(60_000));
  const taken = await eventually('it is taken', () => node.taken.get(id));
  await federation.stopHub();
  ahead = 100_000;
  await federation.startHub();
  await federation.untilOnline('w1');
  await eventually('it is told', () => taken.isCancelled);
  expect((await standingOf(federation, id)).state).toBe('placed');
  ahead += 16_000;
  for (const stream of node.node.streams) stream.close(2);
  expect((await untilState(federation, id, 'lost')).problem).toContain('does not say how it ended');
});

test.each([0, 100_000])(
  'an end that came in time while no hub was there is not lost, however late it is heard',
  async (late) => {
    await using federation = await startFederation();
    const node = await offeringNode(federation, 'w1');
    node.onTaken = begins(node);
    const { id } = await hand(federation, within(60_000));
    await untilState(federation, id, 'started');
    await federation.stopHub();
    node.end(node.taken.get(id)!, 'in time');
    ahead = 60_000 + late;
    await federation.startHub();
    await federation.untilOnline('w1');
    expect(await untilState(federation, id, 'completed', 'lost', 'expired')).toMatchObject({ text: 'in time' });
  },
);

test.each([false, true])('a deadline that passes while its node is away: lost (begun: %s)', async (isBegun) => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1', undefined, { key: newKey() });
  if (isBegun) node.onTaken = begins(node);
  const { id } = await hand(federation, within(3000));
  await eventually('it is taken', () => node.taken.has(id));
  await goes(federation, node, 'w1');
  const { problem } = await untilState(federation, id, 'lost');
  expect(problem).toBe('its time was over while w1 was away, where it may have run');
});

test('a deadline that no timer could hold is refused', async () => {
  await using federation = await startFederation();
  await offeringNode(federation, 'w1');
  await expect(hand(federation, within(25 * 86_400_000))).rejects.toThrow('24 days');
});

test('a deadline that passes before any node had it: expired', async () => {
  await using federation = await startFederation();
  const key = newKey();
  const node = await offeringNode(federation, 'w1', undefined, { key });
  await goes(federation, node, 'w1');
  const { id } = await hand(federation, within(500));
  expect(await untilState(federation, id, 'expired')).toMatchObject({ attempt: 0, node: null });
  const back = agentNode(federation, 'w1', { key });
  await federation.untilOnline('w1');
  await back.offer();
  const { id: next } = await hand(federation);
  await eventually('the next is taken', () => back.taken.has(next));
  expect([...back.taken.keys()]).toEqual([next]);
});

test('a node that may not have got it, and proves at its return that it did not: expired, and not lost', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.mishap = (what) => (what === 'POST /handoffs' ? 'silence' : undefined);
  const { id } = await hand(federation, within(60_000));
  await eventually('it was sent', () => node.asked.includes('POST /handoffs'));
  await federation.stopHub();
  ahead = 61_000;
  await federation.startHub();
  await federation.untilOnline('w1');
  expect(await untilState(federation, id, 'expired', 'lost')).toMatchObject({ state: 'expired' });
});

test('what may be begun anew is so 60 seconds after its node went, not before, and where somebody offers to', async () => {
  await using federation = await startFederation();
  const key = newKey();
  const first = await offeringNode(federation, 'w1', undefined, { key });
  first.onTaken = begins(first);
  const [once, again] = [
    await hand(federation, { target: 'main' }),
    await hand(federation, { target: 'main', rerunnable: true }),
  ];
  for (const { id } of [once, again]) await untilState(federation, id, 'started');
  await goes(federation, first, 'w1');
  await eventually('it waits for it', async () => (await standingOf(federation, again.id)).problem !== null);
  // Something that makes the hub look again.
  ahead = 50_000;
  await offeringNode(federation, 'idle', []);
  expect(await standingOf(federation, again.id)).toMatchObject({ state: 'started', attempt: 1 });
  ahead = 61_000;
  const second = agentNode(federation, 'w2', { token: await federation.token({}) });
  second.onTaken = (taken) => {
    second.start(taken);
    second.end(taken, 'done');
  };
  await federation.untilOnline('w2');
  expect(await standingOf(federation, again.id)).toMatchObject({ state: 'started', attempt: 1 });
  await second.offer();
  expect(await untilState(federation, again.id, 'completed')).toMatchObject({ attempt: 2, node: { name: 'w2' } });
  expect((await eventsOf(federation, again.id)).map(({ type }) => type)).toEqual([
    ...['started', 'restarted', 'started', 'ended'],
  ]);
  expect(await standingOf(federation, once.id)).toMatchObject({ state: 'started', attempt: 1, cancelling: false });
  // The first node is told at its return, and what it says of its attempt is of no account.
  const back = agentNode(federation, 'w1', { key });
  for (const [id, taken] of first.taken) back.taken.set(id, taken);
  await federation.untilOnline('w1');
  await eventually('it is told', () => back.taken.get(again.id)?.isCancelled);
  expect(back.taken.get(once.id)?.isCancelled).toBe(false);
  back.end(back.taken.get(again.id)!, 'too late');
  expect(await standingOf(federation, again.id)).toMatchObject({ state: 'completed', text: 'done', attempt: 2 });
});

import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import type { AgentNode, Mishap, Taken } from '../../support/agent-node.ts';
import { agentNode, offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import { startFederation } from '../../support/federation.ts';
import { newKey } from '../../support/link.ts';
import { eventsOf, hand, standingOf, untilState } from '../../support/handoff.ts';

const orders = (node: AgentNode): number => node.asked.filter((what) => what === 'POST /handoffs').length;

test('a hub that is started anew goes on where it was, and its followers with what they know', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  const { id } = await hand(federation);
  const taken = await eventually('it is taken', () => node.taken.get(id));
  node.start(taken);
  for (let at = 0; at < 50; at += 1) node.say(taken, { type: 'text', text: `${at} ` });
  await eventually('it is heard', async () => (await standingOf(federation, id)).seq === 51);
  await federation.stopHub();
  node.say(taken, { type: 'text', text: 'while it was away ' });
  await federation.startHub();
  await federation.untilOnline('w1');
  node.end(taken, 'done');
  expect(await untilState(federation, id, 'completed')).toMatchObject({ text: 'done', attempt: 1, seq: 53 });
  const events = await eventsOf(federation, id);
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 53 }, (_, at) => at + 1));
  expect(events.slice(0, -1).map((event) => JSON.stringify(event))).toEqual(taken.lines.slice(0, -1));
  expect(await eventsOf(federation, id, 51)).toEqual(events.slice(51));
  expect(orders(node)).toBe(1);
});

test('an answer that got lost is asked for again, and the same attempt is no second run', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  let lost = 0;
  node.mishap = (what) => (what === 'POST /handoffs' && (lost += 1) < 3 ? 'cut' : undefined);
  node.onTaken = (taken) => {
    node.start(taken);
    node.end(taken, 'done');
  };
  const { id } = await hand(federation);
  expect(await untilState(federation, id, 'completed')).toMatchObject({ attempt: 1 });
  expect(node.taken.size).toBe(1);
});

test('one that has no room is not begun there: another takes it', async () => {
  await using federation = await startFederation();
  const full = await offeringNode(federation, 'w1');
  const free = await offeringNode(federation, 'w2');
  full.mishap = (what) => (what === 'POST /handoffs' ? { code: 'QUEUE_FULL' } : undefined);
  free.onTaken = (taken) => {
    free.start(taken);
    free.end(taken, 'done');
  };
  const { id } = await hand(federation, { target: 'main' });
  expect(await untilState(federation, id, 'completed')).toMatchObject({ node: { name: 'w2' }, attempt: 1 });
  expect(full.taken.size).toBe(0);
});

test('what waits for a node that is away is given to it when it is back', async () => {
  await using federation = await startFederation();
  const key = newKey();
  const before = await offeringNode(federation, 'w1', undefined, { key });
  await before.node.stop();
  await eventually('it is away', async () => !(await federation.isOnline('w1')));
  const waiting = await hand(federation);
  const unwanted = await hand(federation);
  expect(waiting).toMatchObject({ state: 'waiting', position: 1, node: null });
  expect(unwanted).toMatchObject({ state: 'waiting', position: 2, node: null });
  await federation.ask('DELETE', `/handoffs/${unwanted.id}`);
  expect(await untilState(federation, unwanted.id, 'cancelled')).toMatchObject({ seq: 1, attempt: 0 });
  expect(await eventsOf(federation, unwanted.id)).toMatchObject([{ seq: 1, type: 'ended', outcome: 'cancelled' }]);
  const node = agentNode(federation, 'w1', { key });
  node.onTaken = (taken) => {
    node.start(taken);
    node.end(taken, 'done');
  };
  await federation.untilOnline('w1');
  await node.offer();
  expect(await untilState(federation, waiting.id, 'completed')).toMatchObject({ attempt: 1 });
  expect([...node.taken.keys()]).toEqual([waiting.id]);
});

test('what nobody takes in time is expired, and was begun nowhere', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.mishap = (what) => (what === 'POST /handoffs' ? { code: 'QUEUE_FULL' } : undefined);
  const { id } = await hand(federation, { queueTimeoutMs: 500 });
  const { problem } = await untilState(federation, id, 'expired');
  expect(problem).toContain('w1: as the test says');
});

test('a node that is revoked while it works on something: nobody knows how that ended', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.onTaken = (taken) => node.start(taken);
  const { id } = await hand(federation);
  await untilState(federation, id, 'started');
  await federation.post('/nodes/w1/revoke');
  expect(await untilState(federation, id, 'lost')).toMatchObject({ problem: 'w1 is no member any more' });
});

test('what was lost is begun anew elsewhere only where its caller said so, and its first node is told', async () => {
  await using federation = await startFederation();
  const first = await offeringNode(federation, 'w1');
  const second = await offeringNode(federation, 'w2');
  const lose = (node: AgentNode) => (taken: Taken) => {
    node.start(taken);
    node.say(taken, { type: 'text', text: 'half' });
    taken.isOver = true;
    node.say(taken, { type: 'ended', outcome: 'lost', text: '', problem: 'the gateway went', usage: null });
  };
  first.onTaken = lose(first);
  second.onTaken = (taken) => {
    second.start(taken);
    second.end(taken, 'done');
  };
  const once = await hand(federation, { target: 'main' });
  await untilState(federation, once.id, 'lost');
  expect(second.taken.size).toBe(0);
  const again = await hand(federation, { target: 'main', rerunnable: true });
  expect(await untilState(federation, again.id, 'completed')).toMatchObject({ attempt: 2, node: { name: 'w2' } });
  expect(await eventsOf(federation, again.id)).toMatchObject([
    { seq: 1, type: 'started', attempt: 1 },
    { seq: 2, type: 'text', text: 'half' },
    { seq: 3, type: 'restarted', attempt: 2 },
    { seq: 4, type: 'started', attempt: 2 },
    { seq: 5, type: 'ended', outcome: 'completed' },
  ]);
  await eventually('the first node is told', () => first.taken.get(again.id)?.isCancelled);
});

const started = { seq: 1, type: 'started', attempt: 1, agent: 'main' };
test.each<[string, readonly unknown[]]>([
  ['a seq is left out', [started, { seq: 3, type: 'text', text: 'x' }]],
  ['a seq comes twice', [started, started]],
  ['it is of another attempt', [{ ...started, attempt: 2 }]],
  ['it is of another agent', [{ ...started, agent: 'other' }]],
  [
    'it is completed and never started',
    [{ seq: 1, type: 'ended', outcome: 'completed', text: '', problem: null, usage: null }],
  ],
  [
    'a file has a path for its name',
    [started, { seq: 2, type: 'artefact', name: '../../etc/passwd', size: 1, sha256: '0'.repeat(64) }],
  ],
  ['it restarts itself', [started, { seq: 2, type: 'restarted', attempt: 2 }]],
  ['it is no event', [started, { seq: 2, type: 'confetti' }]],
  ['it is no JSON', [started, '\u0000{']],
])('a node that breaks the order is not believed: %s', async (_name, said) => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  node.onTaken = ({ lines }) => {
    lines.push(...said.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))));
  };
  const { id } = await hand(federation);
  const { problem, artefacts } = await untilState(federation, id, 'lost');
  expect(problem).toMatch(/^w1 is not to be understood: /);
  expect(artefacts).toEqual([]);
  const seqs = (await eventsOf(federation, id)).map(({ seq }) => seq);
  expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, at) => at + 1));
  await eventually('it is told to end it', () => node.taken.get(id)?.isCancelled);
});

test.each<[string, Mishap]>([
  ['no JSON', { text: '<html>' }],
  [
    'the standing of another',
    { text: JSON.stringify({ id: '0'.repeat(26), attempt: 1, state: 'waiting', position: 1, seq: 0 }) },
  ],
  ['too much', { text: ' '.repeat(1 << 20) }],
])('a node that answers an order with %s does not get it a second time elsewhere', async (_name, mishap) => {
  await using federation = await startFederation();
  const strange = await offeringNode(federation, 'w1');
  const other = await offeringNode(federation, 'w2');
  strange.mishap = (what) => (what === 'POST /handoffs' ? mishap : undefined);
  const { id } = await hand(federation, { target: 'main', queueTimeoutMs: 1500 });
  await eventually('it is asked', () => orders(strange) > 1);
  await federation.ask('DELETE', `/handoffs/${id}`);
  const { state } = await untilState(federation, id, 'lost', 'cancelled');
  expect(['lost', 'cancelled']).toContain(state);
  expect(other.taken.size).toBe(0);
});

test('a message waits for its node, is delivered once and in order, and a refusal is told', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  let refuse = true;
  node.mishap = (what) => (what === 'POST /messages' && refuse ? { code: 'GATEWAY_UNREACHABLE' } : undefined);
  const send = (key: string) =>
    federation.post<HandoffView>('/messages', { key, target: 'w1/main', message: `message ${key}` });
  const first = await send('a');
  await send('b');
  expect(await send('a')).toMatchObject({ id: first.id });
  refuse = false;
  await eventually('both are there', () => node.messages.length === 2);
  expect(node.messages.map(({ message }) => message)).toEqual(['message a', 'message b']);
  await eventually('it is delivered', async () => {
    const { state } = await federation.get<{ state: string }>(`/messages/${first.id}`);
    return state === 'delivered';
  });
  // The latter: nobody can tell whether it got there, and none after it waits for that.
  for (const code of ['FORBIDDEN', 'OPENCLAW_REFUSED'] as const) {
    node.mishap = (what) => (what === 'POST /messages' ? { code } : undefined);
    const denied = await send(code);
    await eventually('it is refused', async () => {
      const { state, problem } = await federation.get<{ state: string; problem: string }>(`/messages/${denied.id}`);
      return state === 'refused' && problem === 'w1: as the test says';
    });
  }
});

test('a node that ends what it says before its end is not asked as fast as the network goes', async () => {
  await using federation = await startFederation();
  const node = await offeringNode(federation, 'w1');
  const follows = (): number => node.asked.filter((what) => what.includes('/events')).length;
  node.mishap = (what) => (what.includes('/events') ? { text: '' } : undefined);
  const { id } = await hand(federation);
  await eventually('it is asked', () => follows() > 0);
  await pause(1000);
  // It is many hundred where nothing is waited for.
  expect(follows()).toBeLessThan(20);
  node.mishap = () => undefined;
  const taken = node.taken.get(id)!;
  node.start(taken);
  node.end(taken, 'done');
  await untilState(federation, id, 'completed');
});

test.each([false, true])(
  'a node that has it says that it has no room: no other gets it (started: %s)',
  async (isStarted) => {
    await using federation = await startFederation();
    const node = await offeringNode(federation, 'w1');
    const other = await offeringNode(federation, 'w2');
    let refusals = 0;
    node.onTaken = (taken) => (isStarted ? node.start(taken) : undefined);
    const { id } = await hand(federation, { target: 'w1' });
    const taken = await eventually('it is taken', () => node.taken.get(id));
    if (isStarted) await untilState(federation, id, 'started');
    await federation.stopHub();
    node.mishap = (what) => (what.includes('/events') && (refusals += 1) < 3 ? { code: 'QUEUE_FULL' } : undefined);
    await federation.startHub();
    await federation.untilOnline('w1');
    await eventually('it says so', () => refusals > 2);
    expect((await standingOf(federation, id)).state).toBe(isStarted ? 'started' : 'placed');
    if (!isStarted) node.start(taken);
    node.end(taken, 'done');
    await untilState(federation, id, 'completed');
    expect(other.taken.size).toBe(0);
  },
);

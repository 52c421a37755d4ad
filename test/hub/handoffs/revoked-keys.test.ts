import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { KeyBook } from '#src/hub/handoffs/asker-keys.ts';
import type { HandoffView, MessageView } from '#src/protocol/handoffs.ts';
import type { ModelKeyCreated } from '#src/protocol/model-keys.ts';
import type { AgentNode } from '../../support/agent-node.ts';
import { agentNode, offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, handoffWish, standingOf, untilState } from '../../support/handoff.ts';
import { newKey } from '../../support/link.ts';
import { operatorAt } from '../../support/operator.ts';
import { AWAY, hubUnderTest, recordOf } from './hub-under-test.ts';

async function goes(federation: Federation, { node }: AgentNode, name: string): Promise<void> {
  await node.stop();
  await eventually(`${name} is away`, async () => !(await federation.isOnline(name)));
}

function message(federation: Federation, id: string): Promise<MessageView> {
  return federation.get<MessageView>(`/messages/${id}`);
}

test('what a revoked operator asked for begins no more, and what runs is ended; nothing of others is', async () => {
  await using federation = await startFederation();
  const here = await offeringNode(federation, 'w1');
  const key = newKey();
  const gone = await offeringNode(federation, 'w2', undefined, { key });
  await goes(federation, gone, 'w2');
  here.onTaken = (taken) => here.start(taken);
  const laptop = operatorAt(federation.hub);
  const entering = laptop.enter({ login: true });
  await eventually('it waits', async () => (await federation.pending()).length > 0);
  await federation.post(`/pairing-requests/${laptop.key.id}/approve`);
  await using operator = await entering;
  const asked = async (path: string, body: object) => (await operator.ask('POST', path, body)).json as HandoffView;
  const running = await asked('/handoffs', handoffWish());
  const waiting = await asked('/handoffs', handoffWish({ target: 'w2' }));
  const told = await asked('/messages', { key: 'm', target: 'w2/main', message: 'from the laptop' });
  const ofOther = await hand(federation, { target: 'w2' });
  const messageOfOther = await federation.post<MessageView>('/messages', {
    ...{ key: 'm', target: 'w2/main', message: 'from the master' },
  });
  await untilState(federation, running.id, 'started');
  await federation.post('/operators/laptop/revoke');
  const { problem } = await untilState(federation, waiting.id, 'cancelled');
  expect(problem).toMatch(/^the key of laptop@loopback, who asked for it, was revoked$/);
  await eventually('the message is refused', async () => (await message(federation, told.id)).state === 'refused');
  expect(await message(federation, told.id)).toMatchObject({ problem });
  const taken = here.taken.get(running.id)!;
  await eventually('w1 is told to end it', () => taken.isCancelled);
  expect(await standingOf(federation, ofOther.id)).toMatchObject({ state: 'waiting', cancelling: false });
  const back = agentNode(federation, 'w2', { key });
  await federation.untilOnline('w2');
  await back.offer();
  await eventually('w2 has what is left', () => back.taken.has(ofOther.id) && back.messages.length > 0);
  expect([...back.taken.keys()]).toEqual([ofOther.id]);
  expect(back.messages.map(({ id }) => id)).toEqual([messageOfOther.id]);
  // By which key it was asked is nothing that a node has to know.
  expect(JSON.stringify([taken.order, back.messages])).not.toContain(laptop.key.id);
});

test('what a program asked for by a key that is revoked begins no more', async () => {
  const hub = { hub: { a2a: { enabled: true, agents: ['*/*'] } } };
  await using federation = await startFederation({ hub });
  const key = newKey();
  await goes(federation, await offeringNode(federation, 'w1', undefined, { key }), 'w1');
  const { secret } = await federation.post<ModelKeyCreated>('/models/keys', { name: 'planner', agents: ['w1/main'] });
  const said = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'build it' }] };
  const params = { message: said, configuration: { returnImmediately: true } };
  const answer = await fetch(`http://127.0.0.1:${federation.hub.port}/a2a/w1/main`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json', 'a2a-version': '1.0' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params }),
  });
  expect(await answer.json()).toMatchObject({ result: { task: { status: { state: 'TASK_STATE_SUBMITTED' } } } });
  const [{ id } = { id: '' }] = await federation.get<HandoffView[]>('/handoffs');
  await federation.post('/models/keys/planner/revoke');
  expect((await untilState(federation, id, 'cancelled')).problem).toContain('planner@a2a');
});

test('a hub that ended before it had ended them does so when it starts', async () => {
  const asker = { kind: 'operator', name: 'laptop@loopback', key: 'k1' } as const;
  const [out, stands] = [recordOf(1, { asker }), recordOf(2, { asker: { ...asker, key: 'k2' } })];
  const { handoffs, store } = await hubUnderTest({
    kept: () => [out, stands].map((value) => ({ type: 'handoff', id: value.id, value }) as const),
    keys: [{ stands: (key) => key === 'k2', puttingOut: new EventEmitter() }],
  });
  await eventually('it is cancelled', async () => (await handoffs.desk.get(out.id, asker)).state === 'cancelled');
  expect((await handoffs.desk.get(stands.id, asker)).state).toBe('waiting');
  expect(await store.handoffEnd(out.id)).toMatchObject({ problem: expect.stringContaining('was revoked') });
});

test('what runs in the name of a revoked key is ended also where the disk is full at first', async () => {
  const asker = { kind: 'operator', name: 'laptop@loopback', key: 'k1' } as const;
  const running = recordOf(1, {
    ...{ asker, state: 'started', node: AWAY, agent: 'main', attempt: 1, startedAt: Date.now() },
  });
  const puttingOut: KeyBook['puttingOut'] = new EventEmitter();
  let stands = true;
  let refusals = 0;
  const { handoffs } = await hubUnderTest({
    kept: () => [{ type: 'handoff', id: running.id, value: running }],
    keys: [{ stands: () => stands, puttingOut }],
    async beforeCommit(changes) {
      if (stands || refusals === 1 || !changes.some(({ type }) => type === 'handoff')) return;
      refusals += 1;
      throw new FederationError('STORE_FAILED', 'the disk is full');
    },
  });
  stands = false;
  puttingOut.emit('out', 'k1');
  await eventually('its end is asked for', async () => (await handoffs.desk.get(running.id, asker)).cancelling);
  expect(refusals).toBe(1);
});

test('what an agent handed on ends with its node, when that is revoked', async () => {
  await using federation = await startFederation({ hub: { hub: { onward: true } } });
  const first = await offeringNode(federation, 'w1');
  const second = await offeringNode(federation, 'w2');
  await goes(federation, await offeringNode(federation, 'w3'), 'w3');
  for (const node of [first, second]) node.onTaken = (taken) => node.start(taken);
  const whole = await hand(federation);
  await untilState(federation, whole.id, 'started');
  const handOn = async (target: string) => {
    const wish = { ...handoffWish({ target }), parent: whole.id };
    return (await first.ask('POST', '/node/handoffs', wish)).json as HandoffView;
  };
  const [running, waiting] = [await handOn('w2'), await handOn('w3')];
  await untilState(federation, running.id, 'started');
  await federation.post('/nodes/w1/revoke');
  await untilState(federation, whole.id, 'lost');
  expect((await untilState(federation, waiting.id, 'cancelled')).problem).toBe('what it was a part of is over');
  await eventually('w2 is told to end it', () => second.taken.get(running.id)?.isCancelled);
});

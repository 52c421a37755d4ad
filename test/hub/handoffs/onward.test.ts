import { expect, test } from 'vitest';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';
import { MAX_HOPS } from '#src/protocol/handoffs.ts';
import type { ModelKeyCreated } from '#src/protocol/model-keys.ts';
import type { AgentNode, Taken } from '../../support/agent-node.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { chatAt } from '../../support/chat.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, handoffWish, standingOf, untilState } from '../../support/handoff.ts';
import type { Answer } from '../../support/http.ts';
import { ask } from '../../support/http.ts';

const OPEN = { hub: { hub: { onward: true } } };

/** As the agent that works on `parent` asks for it, by the daemon of its node. */
function handOn(node: AgentNode, parent: string, wish: Partial<HandoffCreate> = {}): Promise<Answer> {
  return node.ask('POST', '/node/handoffs', { ...handoffWish({ target: 'w2', ...wish }), parent });
}

const begins = (node: AgentNode) => (taken: Taken) => node.start(taken);
const refused = (code: string, status: number) => ({ status, json: { code } });

/** w1 works on a handoff; w2 and w3 take what comes, and begin it. */
async function site(wish: Partial<HandoffCreate> = {}) {
  const federation = await startFederation(OPEN);
  const [first, second, third] = [
    await offeringNode(federation, 'w1'),
    await offeringNode(federation, 'w2'),
    await offeringNode(federation, 'w3'),
  ];
  for (const node of [first, second, third]) node.onTaken = begins(node);
  const parent = await hand(federation, wish);
  await untilState(federation, parent.id, 'started');
  return { federation, first, second, third, parent };
}

async function begun(federation: Federation, answer: Answer): Promise<HandoffView> {
  expect(answer.status).toBe(201);
  return untilState(federation, (answer.json as HandoffView).id, 'started');
}

test('a part is handed on in the name of who asked for the whole, and its end is heard by who handed it on', async () => {
  const { federation, first, second, parent } = await site();
  await using _ = federation;
  const wish = handoffWish({ target: 'w2', task: 'a part' });
  const answer = await first.ask('POST', '/node/handoffs', { ...wish, parent: parent.id });
  const part = await begun(federation, answer);
  expect(part).toMatchObject({ parent: parent.id, asker: parent.asker, node: { name: 'w2' } });
  const taken = second.taken.get(part.id)!;
  expect(taken.order).toMatchObject({ hops: 1, task: 'a part', asker: first.taken.get(parent.id)!.order.asker });
  // Asked for once more, it is the same; and the keys of another's whole are others.
  expect(await first.ask('POST', '/node/handoffs', { ...wish, parent: parent.id })).toMatchObject({
    ...{ status: 200, json: { id: part.id } },
  });
  second.end(taken, 'done');
  await untilState(federation, part.id, 'completed');
  expect(await first.ask('GET', `/node/handoffs/${part.id}`)).toMatchObject({ status: 200, json: { text: 'done' } });
  expect((await first.ask('GET', `/node/handoffs/${part.id}/events`)).text).toContain('"outcome":"completed"');
  expect((await standingOf(federation, parent.id)).state).toBe('started');
});

test('a part that is asked for before it is heard that the whole began waits for that', async () => {
  await using federation = await startFederation(OPEN);
  const [first, second] = [await offeringNode(federation, 'w1'), await offeringNode(federation, 'w2')];
  second.onTaken = begins(second);
  const parent = await hand(federation);
  const whole = await eventually('w1 has it', () => first.taken.get(parent.id));
  await untilState(federation, parent.id, 'placed');
  let isAnswered = false;
  const asking = handOn(first, parent.id).finally(() => (isAnswered = true));
  await federation.get('/handoffs');
  expect(isAnswered).toBe(false);
  first.start(whole);
  await begun(federation, await asking);
});

test('nobody hands on what does not run there now, nor sees or ends what another handed on', async () => {
  const { federation, first, second, third, parent } = await site();
  await using _ = federation;
  const part = await begun(federation, await handOn(first, parent.id));
  // Another node, also the one that works on the part; the whole of nobody; the part is not below w1 itself.
  expect(await handOn(third, parent.id)).toMatchObject(refused('FORBIDDEN', 403));
  expect(await handOn(second, parent.id)).toMatchObject(refused('FORBIDDEN', 403));
  expect(await handOn(first, part.id)).toMatchObject(refused('FORBIDDEN', 403));
  expect(await handOn(first, '0'.repeat(26))).toMatchObject(refused('FORBIDDEN', 403));
  for (const stranger of [second, third]) {
    for (const [method, rest] of [
      ['GET', ''],
      ['GET', '/events'],
      ['DELETE', ''],
    ] as const) {
      const answer = await stranger.ask(method, `/node/handoffs/${part.id}${rest}`);
      expect(answer).toMatchObject(refused('HANDOFF_NOT_FOUND', 404));
    }
  }
  // What it works on itself is not its to end here.
  expect(await first.ask('DELETE', `/node/handoffs/${parent.id}`)).toMatchObject(refused('HANDOFF_NOT_FOUND', 404));
  expect(await standingOf(federation, part.id)).toMatchObject({ cancelling: false, state: 'started' });
  first.end(first.taken.get(parent.id)!, 'done');
  await untilState(federation, parent.id, 'completed');
  expect(await handOn(first, parent.id)).toMatchObject(refused('FORBIDDEN', 403));
});

test('when the whole is over, its parts are ended, down to the last', async () => {
  const { federation, first, second, third, parent } = await site();
  await using _ = federation;
  const part = await begun(federation, await handOn(first, parent.id));
  const below = await begun(federation, await handOn(second, part.id, { target: 'w3' }));
  first.end(first.taken.get(parent.id)!, 'done without it');
  for (const [node, { id }] of [
    [second, part],
    [third, below],
  ] as const) {
    const taken = node.taken.get(id)!;
    await eventually(`${id} is told`, () => taken.isCancelled);
    taken.isOver = true;
    node.say(taken, { type: 'ended', outcome: 'cancelled', text: '', problem: null, usage: null });
    await untilState(federation, id, 'cancelled');
  }
});

test('one handoff keeps no more than a few agents busy, however many parts it is made of', async () => {
  const { federation, first, parent } = await site();
  await using _ = federation;
  const answers = await Promise.all(Array.from({ length: 20 }, () => handOn(first, parent.id)));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(16);
  const others = answers.filter(({ status }) => status !== 201);
  expect(others.map(({ json }) => (json as { code: string }).code)).toEqual(others.map(() => 'QUEUE_FULL'));
});

test('a part is begun no more once the end of the whole was asked for', async () => {
  const { federation, first, parent } = await site();
  await using _ = federation;
  await federation.ask('DELETE', `/handoffs/${parent.id}`);
  expect(await handOn(first, parent.id)).toMatchObject(refused('FORBIDDEN', 403));
});

test('a part has no more time than the whole, and less where that is wished', async () => {
  const at = (minutes: number): string => new Date(Date.now() + minutes * 60_000).toISOString();
  const deadline = at(10);
  const { federation, first, second, parent } = await site({ deadline });
  await using _ = federation;
  expect(parent.deadline).toBe(deadline);
  const soon = at(5);
  for (const [wished, granted] of [
    [null, deadline],
    [at(60), deadline],
    [soon, soon],
  ] as const) {
    const part = await begun(federation, await handOn(first, parent.id, { deadline: wished }));
    expect(part.deadline).toBe(granted);
    const { leftMs } = second.taken.get(part.id)!.order;
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(Date.parse(granted) - Date.parse(part.createdAt));
  }
  const over = await handOn(first, parent.id, { deadline: at(-1) });
  expect(over).toMatchObject({ json: { code: 'DEADLINE_OVER' } });
});

test('it comes back to no machine that handed it on, by whatever word', async () => {
  const { federation, first, second, parent } = await site();
  await using _ = federation;
  const part = await begun(federation, await handOn(first, parent.id));
  for (const [node, above, target] of [
    [first, parent.id, 'w1'],
    [first, parent.id, 'w1/main'],
    [second, part.id, 'w1'],
    [second, part.id, 'w2'],
  ] as const) {
    expect(await handOn(node, above, { target })).toMatchObject({ json: { code: 'LOOP_DETECTED' } });
  }
  // What fits all of them goes to the one that is left.
  const free = await begun(federation, await handOn(second, part.id, { target: 'main' }));
  expect(free.node?.name).toBe('w3');
});

test('it is handed on so far, and no farther', async () => {
  await using federation = await startFederation(OPEN);
  const nodes: AgentNode[] = [];
  for (let at = 0; at <= MAX_HOPS + 1; at += 1) {
    const node = await offeringNode(federation, `n${at}`);
    node.onTaken = begins(node);
    nodes.push(node);
  }
  let above = await hand(federation, { target: 'n0' });
  await untilState(federation, above.id, 'started');
  for (let at = 0; at < MAX_HOPS; at += 1) {
    above = await begun(federation, await handOn(nodes[at]!, above.id, { target: `n${at + 1}` }));
    expect(nodes[at + 1]!.taken.get(above.id)!.order.hops).toBe(at + 1);
  }
  const farther = await handOn(nodes[MAX_HOPS]!, above.id, { target: `n${MAX_HOPS + 1}` });
  expect(farther).toMatchObject({ json: { code: 'LOOP_DETECTED' } });
});

test('nothing is handed on where the master does not let it be', async () => {
  await using federation = await startFederation();
  const first = await offeringNode(federation, 'w1');
  const second = await offeringNode(federation, 'w2');
  first.onTaken = begins(first);
  const parent = await hand(federation);
  await untilState(federation, parent.id, 'started');
  expect(await handOn(first, parent.id)).toMatchObject({ status: 403, json: { hint: 'set hub.onward on the master' } });
  expect(second.taken.size).toBe(0);
});

test('a part for the agents of a program goes to those of its key alone', async () => {
  const hub = { hub: { onward: true, a2a: { enabled: true, agents: ['*/*'] } } };
  await using federation = await startFederation({ hub });
  const first = await offeringNode(federation, 'w1');
  const second = await offeringNode(federation, 'w2');
  const third = await offeringNode(federation, 'w3');
  for (const node of [first, second, third]) node.onTaken = begins(node);
  const agents = ['w1/main', 'w2/main'];
  const { secret } = await federation.post<ModelKeyCreated>('/models/keys', { name: 'planner', agents });
  const parts = [{ text: 'build it' }];
  const said = { message: { messageId: 'm1', role: 'ROLE_USER', parts }, configuration: { returnImmediately: true } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'SendMessage', params: said });
  const path = '/a2a/w1/main';
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json', 'a2a-version': '1.0' };
  const { port } = federation.hub;
  const answer = await ask({ host: '127.0.0.1', port, method: 'POST', path, headers }, body);
  expect(answer.json).toMatchObject({ result: {} });
  const parent = await eventually('it began', async () =>
    (await federation.get<HandoffView[]>('/handoffs')).find(({ state }) => state === 'started'),
  );
  expect(parent.asker).toContain('planner');
  expect(await handOn(first, parent.id, { target: 'w3' })).toMatchObject(refused('FORBIDDEN', 403));
  await begun(federation, await handOn(first, parent.id, { target: 'w2' }));
  expect(third.taken.size).toBe(0);
});

test('where the owner would have to allow it, nobody can be asked', async () => {
  await using federation = await startFederation(OPEN);
  const first = await offeringNode(federation, 'w1');
  const token = await federation.token({ role: 'hybrid' });
  const laptop = await offeringNode(federation, 'laptop', undefined, { role: 'hybrid', token });
  first.onTaken = begins(first);
  const { json } = await chatAt(federation.hub).ask('POST', '/handoffs', handoffWish());
  const { id } = json as HandoffView;
  await untilState(federation, id, 'started');
  const answer = await handOn(first, id, { target: 'laptop' });
  expect(answer).toMatchObject({ status: 403, json: { hint: 'hand it to an agent on a worker' } });
  expect(laptop.taken.size).toBe(0);
});

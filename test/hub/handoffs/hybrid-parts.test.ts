import { expect, test } from 'vitest';
import type { HandoffCreate, HandoffView } from '#src/protocol/handoffs.ts';
import type { AgentNode } from '../../support/agent-node.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { startFederation } from '../../support/federation.ts';
import { hand, handoffWish, untilState } from '../../support/handoff.ts';

test('an agent of another machine begins nothing where somebody works, in whosever name it asks', async () => {
  await using federation = await startFederation({ hub: { hub: { onward: true } } });
  const turned = await offeringNode(federation, 'w1', [{ id: 'main' }]);
  const worker = await offeringNode(federation, 'w2', [{ id: 'coder' }]);
  const token = await federation.token({ role: 'hybrid' });
  const agents = [{ id: 'coder', concurrency: 9 }];
  const laptop = await offeringNode(federation, 'a-laptop', agents, { role: 'hybrid', token });
  for (const node of [turned, worker, laptop]) node.onTaken = (taken) => node.start(taken);
  const { id: parent } = await hand(federation, { target: 'w1' });
  await untilState(federation, parent, 'started');
  const handOn = (node: AgentNode, wish: Partial<HandoffCreate>) =>
    node.ask('POST', '/node/handoffs', { ...handoffWish(wish), parent });
  for (const target of ['a-laptop', 'a-laptop/coder']) {
    expect(await handOn(turned, { target })).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  }
  const part = (await handOn(turned, { target: 'coder' })).json as HandoffView;
  expect(await untilState(federation, part.id, 'started')).toMatchObject({ node: { name: 'w2' } });
  expect(laptop.taken.size).toBe(0);
  // The operator reaches it.
  const own = await hand(federation, { target: 'a-laptop' });
  expect(await untilState(federation, own.id, 'started')).toMatchObject({ node: { name: 'a-laptop' } });
});

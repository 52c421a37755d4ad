import { expect, it } from 'vitest';
import type { MessageOrder, MessageStanding } from '#src/protocol/handoffs.ts';
import { eventually } from '../../support/eventually.ts';
import type { NodeUnderTest } from './node-under-test.ts';
import { orderOf, startNode } from './node-under-test.ts';

function orderTold(order: Partial<MessageOrder> = {}): MessageOrder {
  const { id, asker } = orderOf();
  return { id, agent: null, asker, message: 'the door is open', ...order };
}

const tell = (node: NodeUnderTest, order: MessageOrder) => node.ask<MessageStanding>('POST', '/messages', order);

it('a message reaches the first agent that is offered, once, however often it is handed over', async () => {
  await using node = await startNode();
  const order = orderTold();
  expect(await tell(node, order)).toMatchObject({ status: 200, body: { agent: 'main', replayed: false } });
  const again = await Promise.all([tell(node, order), tell(node, order)]);
  expect(again.map(({ body }) => body.replayed)).toEqual([true, true]);
  await node.restart();
  expect((await tell(node, order)).body).toMatchObject({ replayed: true });
  expect(node.gateway.messages).toEqual([{ session: 'agent:main:main', text: 'the door is open', key: order.id }]);
  expect(await tell(node, { ...order, message: 'another' })).toMatchObject({ body: { code: 'HANDOFF_CONFLICT' } });
});

it('one that was about to be told is looked for in its session before it is told', async () => {
  await using node = await startNode();
  const { gateway } = node;
  const order = orderTold();
  gateway.refusal = 'busy';
  expect(await tell(node, order)).toMatchObject({ body: { code: 'OPENCLAW_REFUSED' } });
  gateway.refusal = null;
  expect((await tell(node, order)).body).toMatchObject({ replayed: false });
  expect(gateway.messages).toHaveLength(1);
});

it('an agent that is not there, a gateway that is gone and a lockdown are said', async () => {
  await using node = await startNode();
  expect((await tell(node, orderTold({ agent: 'nobody' }))).body).toMatchObject({ code: 'AGENT_NOT_FOUND' });
  expect((await tell(node, orderTold({ message: ' ' }))).body).toMatchObject({ code: 'USAGE' });
  await node.ask('POST', '/lockdown');
  expect((await tell(node, orderTold())).body).toMatchObject({ code: 'LOCKED_DOWN' });
  await node.ask('DELETE', '/lockdown');
  await node.gateway.die();
  await eventually('it is noticed', async () => (await tell(node, orderTold())).body.code === 'GATEWAY_UNREACHABLE');
  expect(node.gateway.messages).toEqual([]);
});

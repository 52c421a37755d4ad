import type { ExecutionEventBus, RequestContext } from '@a2a-js/sdk/server';
import { AgentEvent } from '@a2a-js/sdk/server';
import { expect, test } from 'vitest';
import type { MessageView } from '#src/protocol/handoffs.ts';
import { foreignServer } from '../../adapters/a2a/foreign-server.ts';
import { eventually } from '../../support/eventually.ts';
import { startFederation } from '../../support/federation.ts';

test('a message of which nobody can tell whether a foreign agent has it is told once, and holds up none', async () => {
  const got: string[] = [];
  const executor = {
    async execute({ userMessage: { messageId, parts } }: RequestContext, bus: ExecutionEventBus) {
      got.push(String(parts[0]?.content?.value));
      bus.publish(
        AgentEvent.message({
          ...{ messageId: `${messageId}-reply`, taskId: '', contextId: '', role: 2, parts: [], metadata: undefined },
          ...{ extensions: [], referenceTaskIds: [] },
        }),
      );
      bus.finished();
    },
    cancelTask: async () => undefined,
  };
  await using server = await foreignServer({ executor });
  server.mishap = (method, response) => {
    const isFirst = method === 'SendMessage' && server.asked.length === 1;
    if (isFirst) response.destroy();
    return isFirst;
  };
  await using federation = await startFederation();
  const foreign = [{ id: 'planner', card: server.card, tags: [], concurrency: 1 }];
  await federation.start('w1', { settings: { handoffs: { foreign } } });
  await eventually('it is offered', async () => JSON.stringify(await federation.get('/agents')).includes('planner'));
  const send = (key: string) => federation.post<MessageView>('/messages', { key, target: 'planner', message: key });
  const first = await send('first');
  const second = await send('second');
  const untilOver = ({ id }: MessageView) =>
    eventually('it is over', async () => {
      const view = await federation.get<MessageView>(`/messages/${id}`);
      return view.state === 'waiting' ? undefined : view;
    });
  expect(await untilOver(first)).toMatchObject({
    state: 'refused',
    problem: 'w1: nobody can tell whether the foreign agent has the message already',
  });
  expect(await untilOver(second)).toMatchObject({ state: 'delivered', problem: null });
  expect(server.asked).toEqual(['SendMessage', 'SendMessage']);
  expect(got).toEqual(['second']);
});

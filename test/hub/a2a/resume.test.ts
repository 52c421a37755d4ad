import type { SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { Role, TaskState } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { TaskNotCancelableError } from '@a2a-js/sdk/errors';
import { expect, test } from 'vitest';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import type { ModelKeyCreated } from '#src/protocol/model-keys.ts';
import type { AgentNode, Taken } from '../../support/agent-node.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { clientOf, keyed } from './edge-under-test.ts';

const OPEN = { hub: { a2a: { enabled: true, agents: ['*/*'] } } };

function request(messageId: string, returnImmediately = false): SendMessageRequest {
  const part = {
    content: { $case: 'text', value: 'build it' } as const,
    metadata: undefined,
    filename: '',
    mediaType: '',
  };
  return {
    ...{ tenant: '', metadata: undefined },
    message: {
      ...{ messageId, contextId: '', taskId: '', role: Role.ROLE_USER, parts: [part], metadata: undefined },
      ...{ extensions: [], referenceTaskIds: [] },
    },
    configuration: { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately },
  };
}

/** The agent of w1, and a program’s client of the SDK. */
async function site(): Promise<{ federation: Federation; node: AgentNode; client: Client }> {
  const federation = await startFederation({ hub: OPEN });
  const node = await offeringNode(federation, 'w1');
  const { secret } = await federation.post<ModelKeyCreated>('/models/keys', { name: 'planner', agents: ['w1/main'] });
  const client = await clientOf(`http://127.0.0.1:${federation.hub.port}`, 'w1/main', keyed(secret));
  return { federation, node, client };
}

/** Seq and what it is, of all that is an event. */
function lineOf({ payload }: StreamResponse): string | null {
  if (payload?.$case !== 'statusUpdate' && payload?.$case !== 'artifactUpdate') return null;
  const seq = (payload.value.metadata?.[A2A_EXTENSION] as { seq: number } | undefined)?.seq;
  if (seq === undefined) return null;
  if (payload.$case === 'statusUpdate') return `${seq} ${TaskState[payload.value.status?.state ?? 0]}`;
  const [part] = payload.value.artifact?.parts ?? [];
  return `${seq} ${part?.content?.$case === 'text' ? part.content.value : ''}`;
}

async function taken(node: AgentNode): Promise<Taken> {
  return eventually('it is taken', () => [...node.taken.values()].at(-1));
}

test('a program that was cut off twice hears all of it once, from the hub as it is', async () => {
  const { federation, node, client } = await site();
  await using _ = federation;
  const heard: string[] = [];
  let id = '';
  const cut = new AbortController();
  const first = async (): Promise<void> => {
    for await (const update of client.sendMessageStream(request('m1'), { signal: cut.signal })) {
      if (update.payload?.$case === 'task') {
        ({ id } = update.payload.value);
        const one = await taken(node);
        node.start(one);
        node.say(one, { type: 'text', text: 'one' });
      }
      const line = lineOf(update);
      if (line !== null) heard.push(line);
      if (heard.length === 2) cut.abort();
    }
  };
  await expect(first()).rejects.toThrow('aborted');
  const one = await taken(node);
  node.say(one, { type: 'text', text: 'two' });
  /** From there on, to the end or until so much was heard. */
  const resume = async (after: number, most: number): Promise<void> => {
    const again = new AbortController();
    const options = { signal: again.signal, serviceParameters: { 'Last-Event-ID': String(after) } };
    try {
      for await (const update of client.resubscribeTask({ tenant: '', id }, options)) {
        const line = lineOf(update);
        if (line !== null) heard.push(line);
        if (heard.length === most) again.abort();
      }
    } catch (error) {
      if (!again.signal.aborted) throw error;
    }
  };
  await resume(2, 3);
  expect(heard.at(-1)).toBe('3 two');
  // What is said while it is followed comes with the rest.
  const rest = resume(3, Infinity);
  node.say(one, { type: 'text', text: 'three' });
  node.end(one, 'onetwothree');
  await rest;
  expect(heard).toEqual(['1 TASK_STATE_WORKING', '2 one', '3 two', '4 three', '5 TASK_STATE_COMPLETED']);
  const whole = [...heard];
  heard.length = 0;
  // Also when it is over.
  await resume(0, Infinity);
  expect(heard).toEqual(whole);
  expect(node.taken.size).toBe(1);
});

test('a task is cancelled at its node, however often that is asked, and not once it is over', async () => {
  const { federation, node, client } = await site();
  await using _ = federation;
  const { id } = (await client.sendMessage(request('m1', true))) as Task;
  const one = await taken(node);
  node.start(one);
  const cancel = () => client.cancelTask({ tenant: '', id, metadata: undefined });
  await Promise.all([cancel(), cancel(), cancel()]);
  await eventually('its node is told', () => one.isCancelled);
  one.isOver = true;
  node.say(one, { type: 'ended', outcome: 'cancelled', text: '', problem: 'as it was asked', usage: null });
  await eventually('it is over', async () => {
    const { status } = await client.getTask({ tenant: '', id });
    return status?.state === TaskState.TASK_STATE_CANCELED;
  });
  expect((await cancel()).status?.state).toBe(TaskState.TASK_STATE_CANCELED);
  node.onTaken = (next) => {
    node.start(next);
    node.end(next, 'done');
  };
  const done = (await client.sendMessage(request('m2'))) as Task;
  expect(done.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  await expect(client.cancelTask({ tenant: '', id: done.id, metadata: undefined })).rejects.toThrow(
    TaskNotCancelableError,
  );
});

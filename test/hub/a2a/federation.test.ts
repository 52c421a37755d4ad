import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Part, SendMessageRequest, Task } from '@a2a-js/sdk';
import { Role, TaskState } from '@a2a-js/sdk';
import type { Client } from '@a2a-js/sdk/client';
import { expect, test } from 'vitest';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import type { ModelKeyCreated } from '#src/protocol/model-keys.ts';
import { offeringNode } from '../../support/agent-node.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import { eventsOf, hand, untilState } from '../../support/handoff.ts';
import { clientOf, keyed } from './edge-under-test.ts';

const OPEN = { hub: { a2a: { enabled: true, agents: ['*/*'] } } };

function request(messageId: string, text = 'build it'): SendMessageRequest {
  const none = { metadata: undefined, filename: '', mediaType: '' };
  const parts: Part[] = [{ content: { $case: 'text', value: text }, ...none }];
  const message = {
    ...{ messageId, contextId: '', taskId: '', role: Role.ROLE_USER, parts, metadata: undefined },
    ...{ extensions: [], referenceTaskIds: [] },
  };
  return { tenant: '', message, configuration: undefined, metadata: undefined };
}

const urlOf = ({ hub }: Federation): string => `http://127.0.0.1:${hub.port}`;

async function keyFor(federation: Federation, agents: readonly string[], name = 'planner'): Promise<string> {
  return (await federation.post<ModelKeyCreated>('/models/keys', { name, agents })).secret;
}

async function clientFor(federation: Federation, agent: string): Promise<Client> {
  return clientOf(urlOf(federation), agent, keyed(await keyFor(federation, [agent])));
}

test('a program hands work to an agent of a node, and hears all of it; the audit names its key', async () => {
  await using federation = await startFederation({ hub: OPEN });
  const node = await offeringNode(federation, 'w1', [{ id: 'coder', tags: ['coding'], description: 'writes' }]);
  node.onTaken = (taken) => {
    node.start(taken);
    node.say(taken, { type: 'text', text: 'one two' });
    node.end(taken, 'one two');
  };
  const client = await clientFor(federation, 'w1/coder');
  const seqs: (number | undefined)[] = [];
  let last = TaskState.TASK_STATE_UNSPECIFIED;
  for await (const { payload } of client.sendMessageStream(request('m1'))) {
    if (payload?.$case === 'statusUpdate') last = payload.value.status?.state ?? last;
    if (payload?.$case !== 'statusUpdate' && payload?.$case !== 'artifactUpdate') continue;
    seqs.push((payload.value.metadata?.[A2A_EXTENSION] as { seq: number } | undefined)?.seq);
  }
  expect(last).toBe(TaskState.TASK_STATE_COMPLETED);
  expect(seqs.filter((seq) => seq !== undefined)).toEqual([1, 2, 3]);
  const [view] = await federation.get<HandoffView[]>('/handoffs');
  expect(view).toMatchObject({
    key: 'm1',
    target: 'w1/coder',
    asker: expect.stringMatching(/^planner@a2a \(key \w{12}\)$/),
  });
  const audit = JSON.stringify(await federation.get('/audit?limit=50'));
  expect(audit).toContain(view?.asker);
});

test('the same message a hundred times at once is begun once, and its end is heard by all', async () => {
  await using federation = await startFederation({ hub: OPEN });
  const node = await offeringNode(federation, 'w1', [{ id: 'coder', tags: [], description: '' }]);
  const client = await clientFor(federation, 'w1/coder');
  const sent = Array.from({ length: 100 }, () => client.sendMessage(request('m1')) as Promise<Task>);
  await eventually('it is taken', () => node.taken.size > 0);
  const [taken] = [...node.taken.values()];
  node.start(taken!);
  node.end(taken!, 'done');
  const tasks = await Promise.all(sent);
  expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
  expect(new Set(tasks.map(({ status }) => status?.state))).toEqual(new Set([TaskState.TASK_STATE_COMPLETED]));
  expect(node.taken.size).toBe(1);
});

test('a revoked key opens nothing, and a program reaches no other agent, nor anything else of the hub', async () => {
  await using federation = await startFederation({ hub: OPEN });
  const agents = ['coder', 'writer'].map((id) => ({ id, tags: [], description: '' }));
  await offeringNode(federation, 'w1', agents);
  const secret = await keyFor(federation, ['w1/coder']);
  const ask = async (path: string, body?: object) => {
    const headers = { 'content-type': 'application/json', 'a2a-version': '1.0' };
    const init = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
    return (await keyed(secret)(`${urlOf(federation)}${path}`, init)).status;
  };
  const list = { jsonrpc: '2.0', id: 1, method: 'ListTasks', params: {} };
  expect(await ask('/a2a/w1/coder', list)).toBe(200);
  expect(await ask('/a2a/w1/writer', list)).toBe(404);
  expect(await ask('/api/v1/handoffs')).toBe(401);
  expect(await ask('/v1/models')).toBe(200);
  await federation.post('/models/keys/planner/revoke');
  expect(await ask('/a2a/w1/coder', list)).toBe(401);
});

test('without the setting there is nothing of it', async () => {
  await using federation = await startFederation();
  const answer = await fetch(`${urlOf(federation)}/a2a/w1/coder/.well-known/agent-card.json`);
  expect(answer.status).toBe(401);
});

test('a node speaks for an agent elsewhere: here one of another node, over A2A and back', async () => {
  await using federation = await startFederation({ hub: OPEN });
  const node = await offeringNode(federation, 'w1', [{ id: 'coder', tags: [], description: '' }]);
  node.onTaken = (taken) => {
    node.start(taken);
    node.say(taken, { type: 'text', text: 'from ' });
    node.say(taken, { type: 'text', text: 'afar' });
    node.end(taken, 'from afar');
  };
  await mkdir(federation.home('w2'), { recursive: true });
  const secret = await keyFor(federation, ['w1/coder']);
  await writeFile(join(federation.home('w2'), 'afar.key'), secret, { mode: 0o600 });
  const card = `${urlOf(federation)}/a2a/w1/coder/.well-known/agent-card.json`;
  const foreign = [{ id: 'afar', card, keyFile: 'afar.key', tags: ['far'], concurrency: 1 }];
  await federation.start('w2', { settings: { handoffs: { foreign } } });
  await eventually('it is offered', async () => JSON.stringify(await federation.get('/agents')).includes('afar'));
  const { id } = await hand(federation, { target: 'tags:far', deadline: null });
  expect(await untilState(federation, id, 'completed')).toMatchObject({ text: 'from afar', node: { name: 'w2' } });
  expect(await eventsOf(federation, id)).toMatchObject([
    { type: 'started', agent: 'afar' },
    { type: 'text', text: 'from ' },
    { type: 'text', text: 'afar' },
    { type: 'ended', outcome: 'completed', text: 'from afar' },
  ]);
  expect(node.taken.size).toBe(1);
});

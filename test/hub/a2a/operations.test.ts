import { Role, TaskState } from '@a2a-js/sdk';
import type { Message, Part, SendMessageRequest, StreamResponse, Task } from '@a2a-js/sdk';
import { TaskNotCancelableError, TaskNotFoundError, UnsupportedOperationError } from '@a2a-js/sdk/errors';
import { expect, test } from 'vitest';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import { FederationError } from '#src/core/errors.ts';
import { clientOf, KEY_ID, keyed, openEdge } from './edge-under-test.ts';
import { fileNamed } from './memory-desk.ts';

const text = (value: string): Part => ({
  content: { $case: 'text', value },
  ...{ metadata: undefined, filename: '', mediaType: '' },
});

function request(messageId: string, parts: readonly Part[] = [text('build it')], more: Partial<Message> = {}) {
  const message = {
    ...{ messageId, contextId: '', taskId: '', role: Role.ROLE_USER, parts: [...parts], metadata: undefined },
    ...{ extensions: [], referenceTaskIds: [], ...more },
  };
  return { tenant: '', message, configuration: undefined, metadata: undefined } satisfies SendMessageRequest;
}

function atOnce(wanted: SendMessageRequest): SendMessageRequest {
  const configuration = { acceptedOutputModes: [], taskPushNotificationConfig: undefined, returnImmediately: true };
  return { ...wanted, configuration };
}

/** An update in one line: its seq, what it is, and its text. */
function lineOf({ payload }: StreamResponse): string {
  if (payload?.$case === 'task') return `task ${TaskState[payload.value.status?.state ?? 0]}`;
  if (payload?.$case === 'message' || payload === undefined) return 'message';
  const seq = String((payload.value.metadata?.[A2A_EXTENSION] as { seq: number } | undefined)?.seq ?? '-');
  if (payload.$case === 'statusUpdate') {
    return `${seq} ${TaskState[payload.value.status?.state ?? 0]} ${said(payload.value.status?.message?.parts)}`.trim();
  }
  const { artifact, append, lastChunk } = payload.value;
  const how = `${append ? '+' : '='}${lastChunk ? '.' : ''}`;
  return `${seq} ${artifact?.artifactId} ${how} ${said(artifact?.parts)}`.trim();
}

function said(parts: readonly Part[] = []): string {
  return parts
    .map(({ content }) => (content?.$case === 'data' ? JSON.stringify(content.value) : String(content?.value)))
    .join(' ');
}

function answerOf(task: Task): string {
  return said(task.artifacts.find(({ artifactId }) => artifactId === 'answer')?.parts);
}

const ENDED = { type: 'ended', outcome: 'completed', text: 'It is built.', problem: null, usage: null } as const;

test('the card says who the agent is, and is there for whoever reaches the hub', async () => {
  await using edge = await openEdge();
  const client = await clientOf(edge.url);
  expect(await client.getAgentCard()).toMatchObject({
    name: 'box/coder',
    description: 'coder of box',
    version: '1.2.3',
    supportedInterfaces: [{ url: `${edge.url}/a2a/box/coder`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming: true, extensions: [{ uri: A2A_EXTENSION }] },
    skills: [
      { id: 'coding', tags: ['coding'] },
      { id: 'rust', tags: ['rust'] },
    ],
  });
});

test('a message is a handoff in the name of its key, and the answer comes when it is over', async () => {
  await using edge = await openEdge({ agents: ['box/*'] });
  const client = await edge.client();
  const raw: Part = {
    content: { $case: 'raw', value: Buffer.from('x = 1') },
    metadata: undefined,
    filename: 'a.py',
    mediaType: '',
  };
  const data: Part = {
    content: { $case: 'data', value: { strict: true } },
    metadata: undefined,
    filename: '',
    mediaType: '',
  };
  const metadata = { [A2A_EXTENSION]: { deadline: '2099-01-01T00:00:00Z', idleTimeoutMs: 5000, rerunnable: true } };
  const sent = client.sendMessage(request('m1', [text('build it'), data, raw], { metadata })) as Promise<Task>;
  await expect.poll(() => edge.desk.wishes.length).toBe(1);
  edge.desk.say({ type: 'started', attempt: 1, agent: 'coder' });
  edge.desk.say(ENDED);
  const task = await sent;
  expect(task.status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  expect(answerOf(task)).toBe('It is built.');
  expect(task.contextId).toBe(task.id);
  expect(edge.desk.wishes).toEqual([
    {
      ...{ key: 'm1', target: 'box/coder', task: 'build it\n\n{"strict":true}', context: '' },
      files: [{ name: 'a.py', content: Buffer.from('x = 1').toString('base64') }],
      ...{ deadline: '2099-01-01T00:00:00.000Z', idleTimeoutMs: 5000, queueTimeoutMs: 600_000 },
      ...{ rerunnable: true, cancelOnDisconnect: false },
    },
  ]);
  expect((await edge.desk.get(task.id, { kind: 'operator', name: 'ann' })).asker).toBe(
    `planner@a2a (key ${KEY_ID.slice(0, 12)})`,
  );
});

test('a stream tells every event once, in its order, with its seq', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const lines: string[] = [];
  const tool = { call: 'c1', name: 'exec', phase: 'start', text: 'cat /etc/secret', failed: false } as const;
  for await (const update of client.sendMessageStream(request('m1'))) {
    lines.push(lineOf(update));
    if (lines.length > 1) continue;
    edge.desk.say({ type: 'started', attempt: 1, agent: 'coder' });
    edge.desk.say({ type: 'text', text: 'It is ' });
    edge.desk.say({ type: 'tool', ...tool });
    edge.desk.say({ type: 'gap', events: 3 });
    edge.desk.say(fileNamed('out.txt'));
    edge.desk.say(ENDED);
  }
  const id = '1'.padStart(26, '0');
  expect(lines).toEqual([
    'task TASK_STATE_SUBMITTED',
    '- answer =',
    '1 TASK_STATE_WORKING',
    '2 answer + It is',
    '3 TASK_STATE_WORKING {"tool":{"call":"c1","name":"exec","phase":"start","failed":false}}',
    '4 TASK_STATE_WORKING 3 events were not kept',
    `5 file:out.txt =. ${edge.url}/a2a/box/coder/tasks/${id}/artefacts/out.txt`,
    '- answer =. It is built.',
    '6 TASK_STATE_COMPLETED',
  ]);
  const file = `${edge.url}/a2a/box/coder/tasks/${id}/artefacts/out.txt`;
  expect(await (await keyed('ocfm_secret')(file)).text()).toBe('out.txt');
  expect((await keyed('ocfm_other')(file)).status).toBe(404);
  expect((await fetch(file)).status).toBe(401);
});

test('what was cut off comes back by Last-Event-ID, with no event twice and none missing', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const cut = new AbortController();
  const first: string[] = [];
  await expect(async () => {
    for await (const update of client.sendMessageStream(request('m1'), { signal: cut.signal })) {
      first.push(lineOf(update));
      if (first.length === 1) edge.desk.say({ type: 'started', attempt: 1, agent: 'coder' });
      if (first.length === 3) edge.desk.say({ type: 'text', text: 'one ' });
      if (first.length === 4) cut.abort();
    }
  }).rejects.toThrow('aborted');
  expect(first.at(-1)).toBe('2 answer + one');
  edge.desk.say({ type: 'text', text: 'two' });
  edge.desk.say({ ...ENDED, text: 'one two' });
  const id = '1'.padStart(26, '0');
  const rest: string[] = [];
  const options = { serviceParameters: { 'Last-Event-ID': '2' } };
  for await (const update of client.resubscribeTask({ tenant: '', id }, options)) rest.push(lineOf(update));
  expect(rest).toEqual([
    'task TASK_STATE_COMPLETED',
    '3 answer + two',
    '- answer =. one two',
    '4 TASK_STATE_COMPLETED',
  ]);
  const again: string[] = [];
  for await (const update of client.sendMessageStream(request('m1'), options)) again.push(lineOf(update));
  expect(again).toEqual(rest);
  expect(edge.desk.wishes).toHaveLength(1);
  // As the specification has it for those who do not say where they are.
  await expect(client.resubscribeTask({ tenant: '', id }).next()).rejects.toThrow(UnsupportedOperationError);
});

test('the id of each server-sent event is its seq', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const { id } = (await client.sendMessage(atOnce(request('m1')))) as Task;
  edge.desk.say({ type: 'started', attempt: 1, agent: 'coder' });
  edge.desk.say(ENDED);
  const body = { jsonrpc: '2.0', id: 7, method: 'SubscribeToTask', params: { id } };
  const answer = await edge.post('box/coder', body, { 'last-event-id': '0', 'a2a-extensions': A2A_EXTENSION });
  expect(answer.headers.get('a2a-extensions')).toBe(A2A_EXTENSION);
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const ids = (await answer.text()).split('\n\n').map((event) => /^id: (\d+)$/m.exec(event)?.[1] ?? null);
  expect(ids).toEqual([null, null, '1', null, '2', null]);
});

test('the same message a hundred times at once is one execution, and another payload by its id is refused', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const sent = Array.from({ length: 100 }, () => client.sendMessage(atOnce(request('m1'))) as Promise<Task>);
  const ids = new Set((await Promise.all(sent)).map(({ id }) => id));
  expect(ids.size).toBe(1);
  expect(edge.desk.wishes).toHaveLength(1);
  await expect(client.sendMessage(atOnce(request('m1', [text('burn it')])))).rejects.toThrow(
    'stands for something else',
  );
  await expect(client.sendMessage(atOnce(request('m1', [text('build it')], { contextId: 'c' })))).rejects.toThrow(
    'another contextId',
  );
  expect(edge.desk.wishes).toHaveLength(1);
});

test('of a message in two conversations at once one is done', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const sent = ['c1', 'c2'].map((contextId) => client.sendMessage(atOnce(request('m1', [text('x')], { contextId }))));
  const done = await Promise.allSettled(sent);
  expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(edge.desk.wishes).toHaveLength(1);
});

test('tasks are got and listed, by conversation and by state, those first that changed last', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const send = async (messageId: string, contextId: string) =>
    (await client.sendMessage(atOnce(request(messageId, [text('x')], { contextId })))) as Task;
  const one = await send('m1', 'talk');
  const two = await send('m2', 'talk');
  const three = await send('m3', '');
  expect(one.contextId).toBe('talk');
  edge.desk.say(ENDED, one.id);
  expect((await client.getTask({ tenant: '', id: one.id })).status?.state).toBe(TaskState.TASK_STATE_COMPLETED);
  const list = async (wanted: object) => {
    const all = { tenant: '', contextId: '', status: 0, pageToken: '', statusTimestampAfter: undefined };
    const { tasks, nextPageToken, totalSize } = await client.listTasks({ ...all, ...wanted });
    return { ids: tasks.map(({ id }) => id), nextPageToken, totalSize };
  };
  expect(await list({})).toEqual({ ids: [one.id, three.id, two.id], nextPageToken: '', totalSize: 3 });
  expect((await list({ contextId: 'talk' })).ids).toEqual([one.id, two.id]);
  expect((await list({ status: TaskState.TASK_STATE_COMPLETED })).ids).toEqual([one.id]);
  const page = await list({ pageSize: 2 });
  expect(page).toMatchObject({ ids: [one.id, three.id], totalSize: 3 });
  expect(await list({ pageSize: 2, pageToken: page.nextPageToken })).toMatchObject({
    ids: [two.id],
    nextPageToken: '',
  });
  await expect(list({ pageToken: 'x' })).rejects.toThrow('pageToken');
});

test('a task is cancelled, however often that is asked, and not when it is over', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const { id } = (await client.sendMessage(atOnce(request('m1')))) as Task;
  for (let time = 0; time < 2; time++) await client.cancelTask({ tenant: '', id, metadata: undefined });
  expect(new Set(edge.desk.cancelled)).toEqual(new Set([id]));
  edge.desk.say({ ...ENDED, outcome: 'cancelled', text: '', problem: 'cancelled' });
  const cancelled = await client.cancelTask({ tenant: '', id, metadata: undefined });
  expect(cancelled.status?.state).toBe(TaskState.TASK_STATE_CANCELED);
  const other = (await client.sendMessage(atOnce(request('m2')))) as Task;
  edge.desk.say(ENDED);
  await expect(client.cancelTask({ tenant: '', id: other.id, metadata: undefined })).rejects.toThrow(
    TaskNotCancelableError,
  );
});

test('a task takes one message', async () => {
  await using edge = await openEdge();
  const client = await edge.client();
  const { id } = (await client.sendMessage(atOnce(request('m1')))) as Task;
  await expect(client.sendMessage(request('m2', [text('more')], { taskId: id }))).rejects.toThrow(
    UnsupportedOperationError,
  );
  await expect(client.sendMessage(request('m2', [text('more')], { taskId: 'none' }))).rejects.toThrow(
    TaskNotFoundError,
  );
});

test('nobody sees the tasks of another key, or of another agent', async () => {
  await using edge = await openEdge();
  const mine = await edge.client();
  const { id } = (await mine.sendMessage(atOnce(request('m1')))) as Task;
  const others = [await edge.client('box/coder', keyed('ocfm_other')), await edge.client('box/writer')];
  for (const other of others) {
    await expect(other.getTask({ tenant: '', id })).rejects.toThrow(TaskNotFoundError);
    await expect(other.cancelTask({ tenant: '', id, metadata: undefined })).rejects.toThrow(TaskNotFoundError);
    await expect(other.resubscribeTask({ tenant: '', id }).next()).rejects.toThrow(TaskNotFoundError);
    const all = { tenant: '', contextId: '', status: 0, pageToken: '', statusTimestampAfter: undefined };
    expect((await other.listTasks(all)).tasks).toEqual([]);
  }
  expect(edge.desk.cancelled).toEqual([]);
});

test.each<[FederationError, string]>([
  [new FederationError('QUEUE_FULL', '100 wait already'), 'QUEUE_FULL: 100 wait already'],
  [
    new FederationError('AGENT_NOT_FOUND', 'there are box/main and home/ann'),
    'AGENT_NOT_FOUND: the agent is not there now',
  ],
  [new FederationError('FORBIDDEN', 'ann has not allowed it'), 'FORBIDDEN: the agent takes no task now'],
])('a refusal says why and names nobody else: %s', async (refusal, told) => {
  await using edge = await openEdge();
  edge.desk.refuse = refusal;
  const client = await edge.client();
  await expect(client.sendMessage(request('m1'))).rejects.toThrow(told);
  await expect(client.sendMessageStream(request('m1')).next()).rejects.toThrow(told);
});

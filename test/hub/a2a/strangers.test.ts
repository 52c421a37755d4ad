import { expect, test } from 'vitest';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import { openEdge } from './edge-under-test.ts';

const send = (message: object, more: object = {}) => ({
  ...{ jsonrpc: '2.0', id: 1, method: 'SendMessage' },
  params: { message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'x' }], ...message }, ...more },
});

test.each<[string, Readonly<Record<string, string>>]>([
  ['none', { authorization: '' }],
  ['a wrong one', { authorization: 'Bearer wrong' }],
  ['one of another kind', { authorization: 'Basic b2NmbV9zZWNyZXQ=' }],
])('without a key that is good nothing is answered: %s', async (_, headers) => {
  await using edge = await openEdge();
  const answer = await edge.post('box/coder', send({}), headers);
  expect(answer.status).toBe(401);
  expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  expect(edge.desk.wishes).toEqual([]);
});

test.each<[string, { exposed?: readonly string[]; agents?: readonly string[] }, string]>([
  ['none is exposed', { exposed: [] }, 'box/coder'],
  ['another is exposed', { exposed: ['box/writer'] }, 'box/coder'],
  ['the key is for another', { agents: ['box/writer'] }, 'box/coder'],
  ['a hybrid is meant by its name alone', {}, 'laptop/main'],
  ['there is no such node', {}, 'nowhere/coder'],
])('an agent that is not for it is as one that is not there: %s', async (_, options, agent) => {
  await using edge = await openEdge(options);
  const answer = await edge.post(agent, send({}));
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('no such agent') });
  expect(edge.desk.wishes).toEqual([]);
});

test('a hybrid that is named in full is reached, by a key that names it too', async () => {
  await using edge = await openEdge({ exposed: ['laptop/*'], agents: ['laptop/main'] });
  const answer = await edge.post('laptop/main', send({}, { configuration: { returnImmediately: true } }));
  expect(answer.status).toBe(200);
  expect(edge.desk.wishes).toHaveLength(1);
});

test('what is not exposed, or not offered now, has no card', async () => {
  await using edge = await openEdge({ exposed: ['box/*'] });
  const status = async (agent: string) => (await fetch(`${edge.url}/a2a/${agent}/.well-known/agent-card.json`)).status;
  expect(await status('box/coder')).toBe(200);
  for (const agent of ['laptop/main', 'box/gone', 'nowhere/x', '%2e%2e/x', 'box/%2f']) {
    expect(await status(agent)).toBe(404);
  }
});

const NONE = {};
test.each<[string, unknown, Readonly<Record<string, string>>, number]>([
  ['no JSON', '{', NONE, -32_602],
  ['a list', [send({})], NONE, -32_602],
  ['no object', 'null', NONE, -32_602],
  ['another type', send({}), { 'content-type': 'text/plain' }, -32_602],
  ['another JSON-RPC', { ...send({}), jsonrpc: '1.0' }, NONE, -32_602],
  ['an id that is an object', { ...send({}), id: {} }, NONE, -32_602],
  ['an id that would come back with every event', { ...send({}), id: 'x'.repeat(10_000) }, NONE, -32_602],
  ['a method that there is not', { ...send({}), method: 'constructor' }, NONE, -32_601],
  ['a method of another version', { ...send({}), method: 'message/send' }, NONE, -32_601],
  ['another version', send({}), { 'a2a-version': '0.3' }, -32_009],
  ['no params', { jsonrpc: '2.0', id: 1, method: 'SendMessage' }, NONE, -32_602],
  ['no message', { jsonrpc: '2.0', id: 1, method: 'SendMessage', params: {} }, NONE, -32_602],
  ['a message without an id', send({ messageId: '' }), NONE, -32_602],
  ['an id of blanks', send({ messageId: 'a b' }), NONE, -32_602],
  ['ids that are too long', send({ messageId: '%'.repeat(100) }), NONE, -32_602],
  ['a message of an agent', send({ role: 'ROLE_AGENT' }), NONE, -32_602],
  ['no parts', send({ parts: [] }), NONE, -32_602],
  ['a part that is null', send({ parts: [null] }), NONE, -32_602],
  ['a part that is two', send({ parts: [{ text: 'x', url: 'http://x' }] }), NONE, -32_602],
  ['a part that is nothing', send({ parts: [{ filename: 'x' }] }), NONE, -32_602],
  ['a URL to fetch', send({ parts: [{ text: 'x' }, { url: 'http://127.0.0.1:1/' }] }), NONE, -32_602],
  ['no words', send({ parts: [{ raw: 'eA==', filename: 'a' }] }), NONE, -32_602],
  ['a file outside', send({ parts: [{ text: 'x' }, { raw: 'eA==', filename: '../a' }] }), NONE, -32_602],
  ['a hidden file', send({ parts: [{ text: 'x' }, { raw: 'eA==', filename: '.ssh' }] }), NONE, -32_602],
  ['no base64', send({ parts: [{ text: 'x' }, { raw: '###', filename: 'a' }] }), NONE, -32_602],
  ['a task that is too long', send({ parts: [{ text: 'x'.repeat(300_000) }] }), NONE, -32_602],
  ['a deadline that is none', send({ metadata: { [A2A_EXTENSION]: { deadline: 'soon' } } }), NONE, -32_602],
  ['terms that there are not', send({ metadata: { [A2A_EXTENSION]: { approval: 'x' } } }), NONE, -32_602],
  [
    'a push',
    send({}, { configuration: { taskPushNotificationConfig: { url: 'http://127.0.0.1:1/' } } }),
    NONE,
    -32_003,
  ],
  ['a push of its own', { ...send({}), method: 'CreateTaskPushNotificationConfig' }, NONE, -32_003],
  ['another card', { ...send({}), method: 'GetExtendedAgentCard', params: {} }, NONE, -32_004],
  ['a task by no id', { jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: '../x y' } }, NONE, -32_602],
  ['a task that is not there', { jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 'x' } }, NONE, -32_001],
])('is refused by A2A’s own code, and nothing is begun: %s', async (_, body, headers, code) => {
  await using edge = await openEdge();
  const answer = await edge.post('box/coder', body, headers);
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', error: { code } });
  expect(edge.desk.wishes).toEqual([]);
});

test('a body that is too long is refused before it is read', async () => {
  await using edge = await openEdge();
  const answer = await edge.post('box/coder', 'x'.repeat((8 << 20) + 1)).catch(() => null);
  expect(answer?.status ?? 413).toBe(413);
});

test('the same field by another spelling counts for nothing', async () => {
  await using edge = await openEdge();
  const answer = await edge.post('box/coder', {
    ...{ jsonrpc: '2.0', id: 1, method: 'SendMessage' },
    params: {
      message: { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'x' }], task_id: 'other', context_id: 'c d' },
      configuration: { returnImmediately: true, task_push_notification_config: { url: 'http://127.0.0.1:1/' } },
    },
  });
  expect(await answer.json()).toMatchObject({ result: { task: { status: { state: 'TASK_STATE_SUBMITTED' } } } });
});

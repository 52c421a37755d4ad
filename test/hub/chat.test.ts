import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChatAsker } from '#src/core/policy.ts';
import { ASKER_HEADER, encodeAsker } from '#src/protocol/asker.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import { bareNode } from '../support/bare-node.ts';
import type { BareNode } from '../support/bare-node.ts';
import { chatAt, OWNER } from '../support/chat.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { ask, open } from '../support/http.ts';
import type { EnteredOperator } from '../support/operator.ts';
import { operatorAt } from '../support/operator.ts';

const GUEST: ChatAsker = { ...OWNER, sender: '1002', owner: false };

let federation: Federation;
let node: BareNode;
let credential: string;
let operator: EnteredOperator;

beforeAll(async () => {
  federation = await startFederation({ workers: 2 });
  node = bareNode(federation.hub, { name: 'turned', offers: ['node-host'], token: await federation.token({}) });
  ({ credential } = await node.welcome());
  const entering = operatorAt(federation.hub).enter({ login: true });
  await eventually('it waits', async () => (await federation.pending()).find(({ kind }) => kind === 'operator'));
  const { id } = (await federation.pending()).find(({ kind }) => kind === 'operator')!;
  await federation.post(`/pairing-requests/${id}/approve`, {});
  operator = await entering;
});

afterAll(async () => {
  operator.close();
  await node.stop();
  await federation[Symbol.asyncDispose]();
});

/** What the owner may do from a chat, as the document of the hub names it; all else is refused there. */
const FOR_CHATS = [
  'GET /api/v1/status',
  'GET /api/v1/nodes',
  'GET /api/v1/nodes/{word}',
  'GET /api/v1/jobs',
  'GET /api/v1/jobs/{job}',
  'GET /api/v1/pairing-requests',
  'GET /api/v1/openclaw-nodes',
  'GET /api/v1/events',
  'POST /api/v1/jobs',
  'POST /api/v1/jobs/{job}/cancel',
  'POST /api/v1/pairing-requests/{word}/approve',
  'POST /api/v1/pairing-requests/{word}/reject',
  'POST /api/v1/verdicts',
  'POST /api/v1/command-approvals/{id}',
  // Those of files and tools, where the hub has them.
  'GET /api/v1/nodes/{word}/file',
  'PUT /api/v1/nodes/{word}/file',
  'POST /api/v1/nodes/{word}/tool',
  'GET /api/v1/agents',
  'GET /api/v1/handoffs',
  'GET /api/v1/handoffs/{id}',
  'GET /api/v1/handoffs/{id}/events',
  'GET /api/v1/handoffs/{id}/artefacts/{name}',
  'POST /api/v1/handoffs',
  'DELETE /api/v1/handoffs/{id}',
  'GET /api/v1/messages/{id}',
  'POST /api/v1/messages',
];

async function routes(): Promise<string[]> {
  const document = (await ask({ socketPath: federation.hub.operator, path: '/api/v1/openapi.json' })).json as {
    paths: Record<string, object>;
  };
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

/** A route with something in its places, so that it would be found. */
function doorOf(route: string): { method: string; path: string } {
  const [method = '', path = ''] = route.split(' ');
  const filled = path.replaceAll('{job}', '0'.repeat(26)).replaceAll('{id}', '0'.repeat(26));
  return { method, path: filled.replace('/api/v1', '').replaceAll(/\{\w+\}/g, 'w1') };
}

async function audited(action: string): Promise<AuditView[]> {
  return (await federation.get<AuditView[]>('/audit?limit=10000')).filter((record) => record.action === action);
}

const failed = (code: string) => ({ status: code === 'UNAUTHENTICATED' ? 401 : 403, json: { code } });

describe('on the plugin’s socket', () => {
  test('somebody who is not the owner is refused at every route, in words for the chat', async () => {
    for (const route of [...(await routes()), 'GET /api/v1/nothing', 'GET /api/v1/../jobs']) {
      const { method, path } = doorOf(route);
      const answer = await chatAt(federation.hub, GUEST).ask(method, path, method === 'GET' ? undefined : {});
      expect([route, answer]).toEqual([route, expect.objectContaining({ status: 403 })]);
      expect(answer.json).toMatchObject({
        code: 'FORBIDDEN',
        message: 'only the owner may steer machines from a chat, and telegram:1002 is not',
      });
    }
    const refused = await eventually('it is in the audit', async () => (await audited('chat.refuse'))[0]);
    expect(refused).toMatchObject({
      by: 'telegram:1002',
      detail: { chat: { channel: 'telegram', sender: '1002', agent: 'main' } },
    });
  });

  test('a guest who asks without end fills no audit', async () => {
    const guest = chatAt(federation.hub, GUEST);
    for (let times = 0; times < 100; times += 1) await guest.ask('GET', '/status');
    expect((await audited('chat.refuse')).length).toBeLessThanOrEqual(60);
  });

  test('the owner reaches what is for chats, and nothing else that the hub has', async () => {
    const all = await routes();
    for (const route of all) {
      if (route === 'GET /api/v1/events') continue;
      const { method, path } = doorOf(route);
      const { status, json } = await chatAt(federation.hub).ask(method, path, method === 'GET' ? undefined : {});
      const isRefused = status === 403 && (json as { message: string }).message === 'this can’t be done from a chat';
      expect([route, isRefused]).toEqual([route, !FOR_CHATS.includes(route)]);
    }
    expect(FOR_CHATS.slice(0, 14).filter((route) => !all.includes(route))).toEqual([]);
  });

  test.each([
    ['HEAD', '/api/v1/status'],
    ['OPTIONS', '/api/v1/status'],
    ['DELETE', '/api/v1/jobs'],
    ['GET', '/health'],
    ['GET', '/api/v1/openapi.json'],
    ['GET', '/api/v1/nodes/w1/readiness'],
    ['GET', '/api/v1//status'],
    ['GET', '/api/v1/status/'],
    ['GET', '/api/v1/audit?x=/api/v1/status'],
    ['POST', '/api/v1/nodes/w1%2Frevoke'],
    ['POST', '/api/v1/nodes/w1/revoke'],
    ['POST', '/api/v1/lockdown/lift'],
    ['POST', '/api/v1/tokens'],
    ['GET', '/v1/models'],
    ['POST', '/v1/chat/completions'],
  ])('%s %s is none of it', async (method, path) => {
    const headers = { [ASKER_HEADER]: encodeAsker(OWNER), 'content-type': 'application/json' };
    const body = method === 'POST' ? '{}' : undefined;
    const { status } = await ask({ socketPath: federation.hub.plugin!, method, path, headers }, body);
    expect(status).toBe(403);
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['no base64url', '{"kind":"chat"}'],
    ['no JSON', Buffer.from('{').toString('base64url')],
    ['two of them', `${encodeAsker(GUEST)}, ${encodeAsker(OWNER)}`],
    ['an operator', Buffer.from('{"kind":"operator","name":"ann"}').toString('base64url')],
    ['a node', Buffer.from(`{"kind":"node","id":"${'a'.repeat(64)}"}`).toString('base64url')],
    ['an owner by a word', encodeAsker({ ...OWNER, owner: 'true' as unknown as boolean })],
    ['nobody', encodeAsker({ ...OWNER, sender: '' })],
    ['a line in the sender', encodeAsker({ ...OWNER, sender: '1001\nann' })],
    ['an escape sequence in the sender', encodeAsker({ ...OWNER, sender: '\u001b[2J' })],
    ['a sender that is turned around', encodeAsker({ ...OWNER, sender: '\u202e1001' })],
    ['a sender with what is not seen', encodeAsker({ ...OWNER, sender: '1001\u200b' })],
    ['half a character in the sender', encodeAsker({ ...OWNER, sender: '\ud800' })],
    ['a sender without end', encodeAsker({ ...OWNER, sender: 'x'.repeat(257) })],
    ['a line in the session', encodeAsker({ ...OWNER, session: 'a\nb' })],
    ['a channel that is a node', encodeAsker({ ...OWNER, channel: 'node' })],
    ['a channel with a colon', encodeAsker({ ...OWNER, channel: 'telegram:1001' })],
    ['a channel with a blank', encodeAsker({ ...OWNER, channel: 'tele gram' })],
    ['a header without end', 'A'.repeat(8193)],
  ])('who says %s is nobody', async (_, header) => {
    expect(await chatAt(federation.hub, header).ask('GET', '/status')).toMatchObject(failed('UNAUTHENTICATED'));
  });

  test('a credential of a node or an operator counts for nothing, with or without who asks', async () => {
    for (const bearer of [credential, operator.credential]) {
      for (const said of [{}, { [ASKER_HEADER]: encodeAsker(OWNER) }]) {
        for (const path of ['/api/v1/status', '/api/v1/node-host', '/api/v1/audit']) {
          const headers = { authorization: `Bearer ${bearer}`, ...said };
          const answer = await ask({ socketPath: federation.hub.plugin!, path, headers });
          expect(answer).toMatchObject(failed('FORBIDDEN'));
        }
      }
    }
    expect(await ask({ socketPath: federation.hub.plugin!, path: '/api/v1/status' })).toMatchObject(
      failed('UNAUTHENTICATED'),
    );
  });
});

test('nobody else may say who asks: neither an operator, nor a node, nor a stranger', async () => {
  const said = { [ASKER_HEADER]: encodeAsker(OWNER) };
  const refusal = { status: 403, json: { code: 'FORBIDDEN', message: expect.stringContaining('plugin’s socket') } };
  const tcp = { host: '127.0.0.1', port: federation.hub.port };
  const ways = [
    { socketPath: federation.hub.operator, headers: said },
    { ...tcp, headers: said },
    { ...tcp, headers: { ...said, authorization: `Bearer ${credential}` } },
    { ...tcp, headers: { ...said, authorization: `Bearer ${operator.credential}` } },
  ];
  for (const way of ways) {
    for (const path of ['/api/v1/status', '/api/v1/jobs', '/api/v1/node-host', '/health', '/v1/models']) {
      expect(await ask({ ...way, path })).toMatchObject(refusal);
    }
  }
});

describe('the owner in a chat', () => {
  test('runs a command on a worker, and jobs and audit say who, where from, and for which agent', async () => {
    const job = await chatAt(federation.hub).run({ kind: 'exec', targets: ['w1'], command: { argv: ['echo', 'hi'] } });
    expect(job.outputs[0]?.stdout).toBe('hi\n');
    const chat = { channel: 'telegram', sender: '1001', agent: 'main', session: OWNER.session };
    const [view] = await federation.get<JobView[]>('/jobs?limit=1');
    expect(view).toMatchObject({ by: 'telegram:1001', chat });
    expect(view).not.toHaveProperty('approvedBy');
    const started = (await audited('job.start')).at(-1);
    const { id } = await federation.show('w1');
    expect(started).toMatchObject({
      by: 'telegram:1001',
      detail: { chat, action: 'exec', approval: null, targets: [{ node: 'w1', id, rule: 'owner-chat' }] },
    });
    expect(await eventually('its end is recorded', async () => (await audited('job.end')).at(-1))).toMatchObject({
      by: 'telegram:1001',
    });
    expect(await chatAt(federation.hub).verdicts({ targets: ['w1'], action: { kind: 'read', path: '/a' } })).toEqual({
      targets: [{ node: 'w1', id, online: true, verdict: 'allow', rule: 'owner-chat' }],
      leftOut: [],
      approval: null,
    });
  });

  test('ends a job that an operator began, under the own name', async () => {
    const job = await federation.startJob({ kind: 'exec', targets: ['w1'], command: { argv: ['sleep', '60'] } });
    const { job: id } = await eventually('it runs', () => (job.started.size > 0 ? job.opened : null));
    expect((await chatAt(federation.hub).ask('POST', `/jobs/${id}/cancel`)).status).toBe(204);
    await job.over;
    expect(job.ended?.summary).toEqual({ cancelled: 1 });
    expect((await audited('job.cancel')).at(-1)?.detail).toMatchObject({ job: id, by: 'telegram:1001' });
  });

  test('sends no input to a command, which nobody would see', async () => {
    const work = chatAt(federation.hub).run({ kind: 'exec', targets: ['w1'], command: { argv: ['sh'] }, stdin: true });
    await expect(work).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('is asked back where a word fits two nodes, and told what is not there', async () => {
    const { id } = await federation.show('w1');
    const word = id.slice(0, 8);
    await federation.post('/nodes/w2/rename', { name: word });
    const verdicts = (target: string) =>
      chatAt(federation.hub).verdicts({ targets: [target], action: { kind: 'exec', command: { argv: ['df'] } } });
    await expect(verdicts('nowhere')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
    await expect(verdicts(word)).rejects.toMatchObject({
      code: 'NODE_AMBIGUOUS',
      message: expect.stringContaining(`w1 (${id.slice(0, 12)})`),
    });
    const { id: other } = (await federation.nodes()).find(({ name }) => name === word)!;
    await federation.post(`/nodes/${other}/rename`, { name: 'w2' });
  });

  test('lets in and turns away what waits, and no more than that', async () => {
    await using guest = bareNode(federation.hub, { name: 'guest' });
    await guest.waiting();
    const owner = chatAt(federation.hub);
    const [waiting] = await federation.pending();
    const id = waiting!.id;
    expect(await owner.ask('POST', `/pairing-requests/${id}/approve`, { replace: true })).toMatchObject(
      failed('FORBIDDEN'),
    );
    expect((await owner.ask('POST', `/pairing-requests/${id}/reject`)).status).toBe(200);
    expect((await audited('node.reject')).at(-1)).toMatchObject({ by: 'telegram:1001' });
    expect((await owner.ask('POST', `/pairing-requests/${id}/approve`, {})).status).toBe(200);
    expect((await audited('node.approve')).at(-1)).toMatchObject({ by: 'telegram:1001' });
    await guest.welcome();
    await federation.post('/nodes/guest/revoke');
    const again = await owner.ask('POST', `/pairing-requests/${id}/approve`, {});
    expect(again).toMatchObject({ status: 404, json: { code: 'REQUEST_NOT_FOUND' } });
  });

  test('makes nobody an operator', async () => {
    const waits = operatorAt(federation.hub, { name: 'desk' });
    const gone = new AbortController();
    const entering = waits.enter({ login: true }, gone.signal).catch(() => null);
    const asked = await eventually('it waits', async () =>
      (await federation.pending()).find(({ name }) => name === 'desk'),
    );
    const answer = await chatAt(federation.hub).ask('POST', `/pairing-requests/${asked.id}/approve`, {});
    expect(answer).toMatchObject(failed('FORBIDDEN'));
    expect((await federation.pending()).map(({ name }) => name)).toContain('desk');
    await federation.post(`/pairing-requests/${asked.id}/reject`);
    gone.abort();
    await entering;
  });

  test('hears of what waits and of what is to be allowed, and of nothing else', async () => {
    const headers = { [ASKER_HEADER]: encodeAsker(OWNER) };
    const response = await open({ socketPath: federation.hub.plugin!, path: '/api/v1/events', headers });
    expect(response.statusCode).toBe(200);
    let text = '';
    response.on('data', (chunk: Buffer) => (text += chunk.toString()));
    response.on('error', () => undefined);
    await federation.post('/nodes/w1/labels', { labels: { env: 'home' } });
    await using guest = bareNode(federation.hub, { name: 'late' });
    await guest.waiting();
    await eventually('it is told', () => text.includes('event: pairing-request') || null);
    expect(text).not.toMatch(/event: (?:node|policy)/);
    response.destroy();
    await federation.post('/pairing-requests/late/reject');
  });
});

test('a lockdown denies all of it, and says by whom', async () => {
  const owner = chatAt(federation.hub);
  await federation.post('/lockdown', { reason: 'a test' });
  const command = { argv: ['true'] };
  const { targets, approval } = await owner.verdicts({ targets: ['w1'], action: { kind: 'exec', command } });
  expect([targets[0]?.verdict, targets[0]?.rule, approval]).toEqual(['deny', expect.stringContaining('a test'), null]);
  expect((await owner.run({ kind: 'exec', targets: ['w1'], command })).results[0]).toMatchObject({ outcome: 'denied' });
  expect((await owner.ask('POST', '/lockdown/lift')).status).toBe(403);
  await federation.post('/lockdown/lift');
});

import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, onTestFinished, test } from 'vitest';
import type { z } from 'zod';
import { parseJoinToken } from '#src/core/join-token.ts';
import { FRAME } from '#src/protocol/frames.ts';
import type { JobCreate } from '#src/protocol/hub-api/job.ts';
import { jobEndedSchema, jobOpenedSchema, resultSchema } from '#src/protocol/hub-api/job.ts';
import { startedSchema } from '#src/protocol/worker-api.ts';
import { bareNode } from '../support/bare-node.ts';
import { chatAt } from '../support/chat.ts';
import { eventually } from '../support/eventually.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import { fakePairing } from '../support/fake-pairing.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import type { Answer } from '../support/http.ts';
import { ask } from '../support/http.ts';
import { operatorAt } from '../support/operator.ts';
import { sendInput } from '../support/job.ts';

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: object;
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { schema: object }>> }>>;
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const NO_JOB = '0'.repeat(26);

test('the routes are these', async () => {
  await using federation = await startFederation();
  expect(routesOf(await documentOf(federation))).toMatchInlineSnapshot(`
    [
      "GET /health",
      "GET /api/v1/status",
      "GET /api/v1/nodes",
      "GET /api/v1/nodes/{word}",
      "POST /api/v1/nodes/{word}/revoke",
      "POST /api/v1/nodes/{word}/rename",
      "POST /api/v1/nodes/{word}/labels",
      "POST /api/v1/nodes/{word}/groups",
      "POST /api/v1/nodes/{word}/drain",
      "POST /api/v1/nodes/{word}/undrain",
      "POST /api/v1/nodes/{word}/models/allow",
      "POST /api/v1/nodes/{word}/models/deny",
      "POST /api/v1/prune",
      "GET /api/v1/nodes/{word}/readiness",
      "GET /api/v1/openclaw-nodes",
      "GET /api/v1/pairing-requests",
      "POST /api/v1/pairing-requests/{word}/approve",
      "POST /api/v1/pairing-requests/{word}/reject",
      "POST /api/v1/pairing-requests/{word}/judge",
      "GET /api/v1/pairing-requests/{word}/explanation",
      "POST /api/v1/tokens",
      "GET /api/v1/tokens",
      "POST /api/v1/tokens/{word}/revoke",
      "GET /api/v1/join-tokens/{hash}",
      "GET /api/v1/events",
      "POST /api/v1/jobs",
      "GET /api/v1/jobs",
      "PUT /api/v1/jobs/{job}/stdin",
      "POST /api/v1/jobs/{job}/cancel",
      "GET /api/v1/jobs/{job}",
      "GET /api/v1/nodes/{word}/file",
      "PUT /api/v1/nodes/{word}/file",
      "POST /api/v1/nodes/{word}/tool",
      "POST /api/v1/verdicts",
      "POST /api/v1/command-approvals/{id}",
      "POST /api/v1/lockdown",
      "POST /api/v1/lockdown/lift",
      "GET /api/v1/audit",
      "GET /api/v1/audit/verdict",
      "GET /api/v1/node-host",
      "POST /api/v1/node-host/setup-code",
      "GET /api/v1/operators",
      "POST /api/v1/operators/{word}/revoke",
      "POST /api/v1/node/key",
      "PUT /api/v1/node/models",
      "GET /api/v1/models",
      "GET /api/v1/models/withheld",
      "GET /api/v1/models/routes",
      "PUT /api/v1/models/routes",
      "POST /api/v1/models/routes/remove",
      "GET /api/v1/models/explanation",
      "POST /api/v1/models/keys",
      "GET /api/v1/models/keys",
      "POST /api/v1/models/keys/{word}/revoke",
      "GET /api/v1/models/usage",
      "PUT /api/v1/node/agents",
      "POST /api/v1/node/handoffs",
      "GET /api/v1/node/handoffs/{id}",
      "DELETE /api/v1/node/handoffs/{id}",
      "GET /api/v1/node/handoffs/{id}/events",
      "POST /api/v1/handoffs",
      "GET /api/v1/handoffs",
      "GET /api/v1/handoffs/{id}",
      "DELETE /api/v1/handoffs/{id}",
      "GET /api/v1/handoffs/{id}/events",
      "GET /api/v1/handoffs/{id}/artefacts/{name}",
      "POST /api/v1/messages",
      "GET /api/v1/messages/{id}",
      "GET /api/v1/agents",
      "GET /metrics",
    ]
  `);
});

test('every answer of every route is what the document says', async () => {
  const gateway = await fakeGateway();
  onTestFinished(() => gateway.close());
  const setupCode = { setupCode: 'code', setupId: 's1', expiresAtMs: Date.now() + 1000, access: 'node' };
  const openclaw = fakePairing(gateway);
  gateway.answers.set('device.pair.setupCode', () => ({ ok: true, payload: setupCode }));
  const secrets = await mkdtemp(join(tmpdir(), 'ocf-token-'));
  onTestFinished(() => rm(secrets, { recursive: true }));
  await writeFile(join(secrets, 'token'), 'secret');

  await using federation = await startFederation({
    workers: 2,
    hub: { gateway: { url: gateway.url, tokenFile: join(secrets, 'token') } },
  });
  const { hub } = federation;
  const api = checkedApi(federation, await documentOf(federation));
  await eventually('the gateway is there', async () => {
    const { gateway: seen } = await federation.get<{ gateway: { state: string } }>('/status');
    return seen.state === 'connected';
  });

  await api.get('/health', '/health', 200);
  await api.get('/api/v1/status', '/api/v1/status', 200);

  await using waiting = bareNode(hub, { name: 'waiting' });
  await using unwanted = bareNode(hub, { name: 'unwanted' });
  await Promise.all([waiting.waiting(), unwanted.waiting()]);
  await api.get('/api/v1/pairing-requests', '/api/v1/pairing-requests', 200);
  const approve = '/api/v1/pairing-requests/{word}/approve';
  const reject = '/api/v1/pairing-requests/{word}/reject';
  const judge = '/api/v1/pairing-requests/{word}/judge';
  const explanation = '/api/v1/pairing-requests/{word}/explanation';
  await api.post(judge, '/api/v1/pairing-requests/waiting/judge', 200, { dryRun: true });
  await api.post(judge, '/api/v1/pairing-requests/nobody/judge', 404, {});
  await api.post(judge, '/api/v1/pairing-requests/waiting/judge', 400, { dryRun: 'yes' });
  await api.get(explanation, '/api/v1/pairing-requests/waiting/explanation', 200);
  await api.get(explanation, '/api/v1/pairing-requests/nobody/explanation', 404);
  api.visited.add('GET /api/v1/events');
  await api.post(approve, '/api/v1/pairing-requests/waiting/approve', 200, {});
  await api.post(approve, '/api/v1/pairing-requests/nobody/approve', 404, { replace: true });
  await api.post(approve, '/api/v1/pairing-requests/nobody/approve', 400, { replace: 'yes' });
  await api.post(approve, `/api/v1/pairing-requests/${'x'.repeat(300)}/approve`, 400, {});
  await api.post(reject, '/api/v1/pairing-requests/unwanted/reject', 200);
  await api.post(reject, '/api/v1/pairing-requests/nobody/reject', 404);

  await api.post('/api/v1/tokens', '/api/v1/tokens', 200, { name: 'w9', labels: { env: 'test' }, uses: 2 });
  await api.post('/api/v1/tokens', '/api/v1/tokens', 400, { uses: 0 });
  await api.get('/api/v1/tokens', '/api/v1/tokens', 200);
  await api.post('/api/v1/tokens/{word}/revoke', '/api/v1/tokens/w9/revoke', 200);
  await api.post('/api/v1/tokens/{word}/revoke', '/api/v1/tokens/w9/revoke', 404);
  const hash = createHash('sha256')
    .update(parseJoinToken(await federation.token()).secret)
    .digest('hex');
  const ofToken = '/api/v1/join-tokens/{hash}';
  await api.get(ofToken, `/api/v1/join-tokens/${hash}`, 200);
  await api.get(ofToken, `/api/v1/join-tokens/${'0'.repeat(64)}`, 400);
  await api.get(ofToken, '/api/v1/join-tokens/none', 400);

  const entered = operatorAt(hub, { name: 'laptop' }).enter({ login: true });
  const { id: laptop } = await eventually('it waits', async () =>
    (await federation.pending()).find(({ name }) => name === 'laptop'),
  );
  await api.post(approve, '/api/v1/pairing-requests/laptop/approve', 409, {});
  await api.get('/api/v1/pairing-requests', '/api/v1/pairing-requests', 200);
  await api.post(approve, `/api/v1/pairing-requests/${laptop}/approve`, 200, {});
  await using operator = await entered;
  expect(operator.name).toBe('laptop');
  await api.get('/api/v1/operators', '/api/v1/operators', 200);
  await api.post('/api/v1/operators/{word}/revoke', '/api/v1/operators/laptop/revoke', 200);
  await api.post('/api/v1/operators/{word}/revoke', '/api/v1/operators/laptop/revoke', 404);

  await api.get('/api/v1/nodes', '/api/v1/nodes', 200);
  await api.get('/api/v1/nodes/{word}', '/api/v1/nodes/w1', 200);
  await api.get('/api/v1/nodes/{word}', '/api/v1/nodes/waiting', 200);
  await api.get('/api/v1/nodes/{word}', '/api/v1/nodes/w3', 404);
  await api.get('/api/v1/nodes/{word}/readiness', '/api/v1/nodes/w1/readiness', 200);
  await api.get('/api/v1/nodes/{word}/readiness', '/api/v1/nodes/w3/readiness', 404);

  openclaw.asks('d'.repeat(64), { displayName: 'phone' });
  await eventually('the phone asks', async () => (await federation.pending()).some(({ name }) => name === 'phone'));
  await api.get('/api/v1/pairing-requests', '/api/v1/pairing-requests', 200);
  await api.post(approve, '/api/v1/pairing-requests/phone/approve', 200, {});
  await eventually('it is there', async () => (await federation.get<object[]>('/openclaw-nodes')).length === 1);
  await api.get('/api/v1/openclaw-nodes', '/api/v1/openclaw-nodes', 200);
  await api.get('/api/v1/nodes/{word}/readiness', '/api/v1/nodes/phone/readiness', 200);
  const file = '/api/v1/nodes/{word}/file';
  const query = `path=/etc/passwd&size=0&sha256=${'0'.repeat(64)}`;
  const nothing = createHash('sha256').digest('hex');
  const empty = `path=${join(federation.directory, 'empty')}&size=0&sha256=${nothing}`;
  await api.get(file, '/api/v1/nodes/w1/file?path=/etc/passwd', 403);
  await api.get(file, '/api/v1/nodes/nobody/file?path=/etc/passwd', 404);
  await api.get(file, '/api/v1/nodes/w1/file', 400);
  await api.put(file, `/api/v1/nodes/w1/file?${query}`, 403);
  await api.put(file, `/api/v1/nodes/w1/file?${empty}`, 200);
  await api.put(file, '/api/v1/nodes/w1/file?path=/etc/passwd', 400);
  const tool = '/api/v1/nodes/{word}/tool';
  await api.post(tool, '/api/v1/nodes/w1/tool', 403, { tool: 'image' });
  await api.post(tool, '/api/v1/nodes/nobody/tool', 404, { tool: 'image' });
  await api.post(tool, '/api/v1/nodes/w1/tool', 400, { tool: 'no tool' });
  await api.post('/api/v1/nodes/{word}/revoke', '/api/v1/nodes/phone/revoke', 200);
  await eventually('it is gone', async () => (await federation.get<object[]>('/openclaw-nodes')).length === 0);

  const { credential } = await bareNodeWithHost(federation);
  const bearer = { authorization: `Bearer ${credential}` };
  await api.tcp('GET', '/api/v1/node-host', 200, bearer);
  await api.tcp('GET', '/api/v1/node-host', 401, {});
  await api.tcp('POST', '/api/v1/node-host/setup-code', 200, bearer, { carrierPort: 19_002 });
  await api.tcp('POST', '/api/v1/node-host/setup-code', 400, bearer, { carrierPort: 0 });
  await api.tcp('POST', '/api/v1/node-host/setup-code', 403, bearer, { carrierPort: 19_002 });
  await api.get('/api/v1/node-host', '/api/v1/node-host', 403);
  const notSigned = { publicKey: 'A'.repeat(43), signature: 'A'.repeat(86) };
  await api.tcp('POST', '/api/v1/node/key', 403, bearer, notSigned);
  const offered = { id: 'qwen3:8b', upstream: 'ollama', name: 'qwen3:8b', api: 'openai', concurrency: 2 };
  await api.tcp('PUT', '/api/v1/node/models', 200, bearer, { models: [offered] });
  await api.tcp('PUT', '/api/v1/node/models', 400, bearer, { models: [{ ...offered, upstream: '..' }] });
  await api.tcp('PUT', '/api/v1/node/models', 401, {}, { models: [] });
  await api.get('/api/v1/models', '/api/v1/models', 200);
  await api.get('/api/v1/models/withheld', '/api/v1/models/withheld', 200);
  await api.tcp('GET', '/api/v1/models', 403, bearer);
  const route = { alias: 'fast', model: offered.id, nodes: ['host'], labels: {} };
  await api.put('/api/v1/models/routes', '/api/v1/models/routes', 200, route);
  await api.put('/api/v1/models/routes', '/api/v1/models/routes', 404, { ...route, nodes: ['none'] });
  await api.put('/api/v1/models/routes', '/api/v1/models/routes', 400, { ...route, alias: 'two words' });
  await api.get('/api/v1/models/routes', '/api/v1/models/routes', 200);
  await api.get('/api/v1/models/explanation', '/api/v1/models/explanation?model=fast', 200);
  await api.get('/api/v1/models/explanation', '/api/v1/models/explanation?model=none', 404);
  await api.get('/api/v1/models/explanation', '/api/v1/models/explanation', 400);
  await api.post('/api/v1/models/routes/remove', '/api/v1/models/routes/remove', 200, { alias: 'fast' });
  await api.post('/api/v1/models/routes/remove', '/api/v1/models/routes/remove', 404, { alias: 'fast' });
  const budgets = [{ amount: 10, unit: 'tokens', per: 'day' }];
  await api.post('/api/v1/models/keys', '/api/v1/models/keys', 200, { name: 'ci', budgets, rpm: 60, ttlSeconds: 60 });
  await api.post('/api/v1/models/keys', '/api/v1/models/keys', 409, { name: 'ci' });
  await api.post('/api/v1/models/keys', '/api/v1/models/keys', 400, { name: 'ci', budgets: [{ amount: 0 }] });
  await api.tcp('POST', '/api/v1/models/keys', 403, bearer, { name: 'mine' });
  await api.get('/api/v1/models/keys', '/api/v1/models/keys', 200);
  await api.post('/api/v1/models/keys/{word}/revoke', '/api/v1/models/keys/ci/revoke', 200);
  await api.post('/api/v1/models/keys/{word}/revoke', '/api/v1/models/keys/ci/revoke', 404);
  await api.get('/api/v1/models/usage', '/api/v1/models/usage?by=model&days=7', 200);
  await api.get('/api/v1/models/usage', '/api/v1/models/usage?by=price', 400);
  await api.tcp('GET', '/metrics', 403, bearer);
  api.visited.add('GET /metrics');
  await visitHandoffs(api, bearer);

  const cat: JobCreate = { kind: 'exec', targets: ['w1'], command: { argv: ['cat'] }, stdin: true };
  const running = await federation.startJob(cat);
  const { job } = await eventually('it is opened', () => running.opened);
  api.visited.add('PUT /api/v1/jobs/{job}/stdin');
  expect(await sendInput(hub.operator, job, 'input')).toBe(204);
  await running.over;
  expect(running.outputs[0]?.stdout).toBe('input');
  await api.put('/api/v1/jobs/{job}/stdin', `/api/v1/jobs/${NO_JOB}/stdin`, 404);
  const sleeping = await federation.startJob({ kind: 'exec', targets: ['w1'], command: { argv: ['sleep', '60'] } });
  await eventually('it runs', () => sleeping.started.size === 1);
  await api.get('/api/v1/jobs', '/api/v1/jobs', 200);
  await api.get('/api/v1/jobs/{job}', `/api/v1/jobs/${sleeping.opened!.job}`, 200);
  await api.post('/api/v1/jobs/{job}/cancel', `/api/v1/jobs/${sleeping.opened!.job}/cancel`, 204);
  await sleeping.over;
  expect(sleeping.ended?.summary).toEqual({ cancelled: 1 });
  await api.post('/api/v1/jobs/{job}/cancel', `/api/v1/jobs/${NO_JOB}/cancel`, 404);
  await api.get('/api/v1/jobs/{job}', `/api/v1/jobs/${sleeping.opened!.job}`, 200);
  await api.get('/api/v1/jobs/{job}', '/api/v1/jobs/none', 400);
  await api.get('/api/v1/jobs', '/api/v1/jobs?limit=none', 400);
  await api.post('/api/v1/jobs', '/api/v1/jobs', 404, { ...cat, targets: ['none'] });
  await api.post('/api/v1/jobs', '/api/v1/jobs', 400, { ...cat, command: {} });

  await api.post('/api/v1/nodes/{word}/rename', '/api/v1/nodes/waiting/rename', 200, { name: 'cellar' });
  await api.post('/api/v1/nodes/{word}/rename', '/api/v1/nodes/w1/rename', 409, { name: 'cellar' });
  await api.post('/api/v1/nodes/{word}/rename', '/api/v1/nodes/w1/rename', 400, { name: 'no name' });
  await api.post('/api/v1/nodes/{word}/labels', '/api/v1/nodes/w1/labels', 200, { labels: { env: 'home', gpu: null } });
  await api.post('/api/v1/nodes/{word}/labels', '/api/v1/nodes/w1/labels', 400, { labels: { 'self/os': 'linux' } });
  await api.post('/api/v1/nodes/{word}/groups', '/api/v1/nodes/w1/groups', 200, { add: ['gpu'] });
  await api.post('/api/v1/nodes/{word}/groups', '/api/v1/nodes/none/groups', 404, { add: ['gpu'] });
  await api.post('/api/v1/nodes/{word}/drain', '/api/v1/nodes/w1/drain', 200);
  await api.post('/api/v1/nodes/{word}/undrain', '/api/v1/nodes/w1/undrain', 200);
  await api.post('/api/v1/nodes/{word}/models/deny', '/api/v1/nodes/w1/models/deny', 200);
  await api.post('/api/v1/nodes/{word}/models/allow', '/api/v1/nodes/w1/models/allow', 200);
  await api.post('/api/v1/nodes/{word}/models/allow', '/api/v1/nodes/none/models/allow', 404);
  await api.post('/api/v1/prune', '/api/v1/prune', 200, { unseenSeconds: 3600, dryRun: true });
  await api.post('/api/v1/prune', '/api/v1/prune', 400, { unseenSeconds: 1 });
  await api.post('/api/v1/lockdown', '/api/v1/lockdown', 400, { reason: 'two\nlines' });
  await api.post('/api/v1/lockdown', '/api/v1/lockdown', 200, { reason: 'a drill' });
  await api.get('/api/v1/status', '/api/v1/status', 200);
  await api.post('/api/v1/lockdown/lift', '/api/v1/lockdown/lift', 200);

  await api.post('/api/v1/nodes/{word}/revoke', '/api/v1/nodes/w2/revoke', 200);
  await api.post('/api/v1/nodes/{word}/revoke', '/api/v1/nodes/w2/revoke', 404);
  await api.get('/api/v1/nodes', '/api/v1/nodes', 200);
  const wish = { targets: ['w1'], action: { kind: 'exec', command: { argv: ['true'] } } } as const;
  await api.post('/api/v1/verdicts', '/api/v1/verdicts', 200, wish);
  await api.post('/api/v1/verdicts', '/api/v1/verdicts', 404, { ...wish, targets: ['nobody'] });
  await api.post('/api/v1/verdicts', '/api/v1/verdicts', 400, { ...wish, action: { kind: 'reboot' } });
  const decide = '/api/v1/command-approvals/{id}';
  await federation.start('laptop', { settings: { role: 'hybrid' }, token: await federation.token({ role: 'hybrid' }) });
  await federation.untilOnline('laptop');
  const { approval } = await chatAt(hub).verdicts({ targets: ['laptop'], action: { kind: 'read', path: '/a' } });
  const decision = { decision: 'deny' };
  await api.post(decide, `/api/v1/command-approvals/${approval!.id}`, 200, decision);
  await api.post(decide, `/api/v1/command-approvals/${approval!.id}`, 409, decision);
  await api.post(decide, `/api/v1/command-approvals/${'0'.repeat(26)}`, 404, decision);
  await api.post(decide, '/api/v1/command-approvals/none', 400, decision);

  await api.get('/api/v1/audit', '/api/v1/audit?limit=1000', 200);
  await api.get('/api/v1/audit', '/api/v1/audit?limit=0', 400);
  await api.get('/api/v1/audit/verdict', '/api/v1/audit/verdict', 200);

  expect([...api.visited].toSorted()).toEqual(routesOf(await documentOf(federation)).toSorted());
});

test('every record in a job’s stream is what the protocol says', async () => {
  const schemas: Readonly<Record<number, z.ZodType>> = {
    [FRAME.open]: jobOpenedSchema,
    [FRAME.started]: startedSchema,
    [FRAME.exit]: resultSchema,
    [FRAME.summary]: jobEndedSchema,
  };
  await using federation = await startFederation({ workers: 3 });
  await federation.start('off', { settings: { worker: { exec: { mode: 'off' } } } });
  await federation.untilOnline('off');
  await federation.stop('w3');
  await eventually('w3 is offline', async () => !(await federation.isOnline('w3')));
  const jobs = [
    await federation.run('all', 'echo out; echo err >&2; exit 7'),
    await federation.run(['w1', 'w2', 'w3', 'off'], 'kill -9 $$'),
    await federation.runJob({ kind: 'exec', targets: ['w1'], command: { argv: ['/no/such/program'] } }),
    await federation.runJob({ kind: 'exec', targets: ['w1'], command: { argv: ['sleep', '60'], timeoutMs: 50 } }),
  ];
  expect(jobs.map(({ ended }) => ended?.summary)).toEqual([
    { failed: 2, denied: 1 },
    { signaled: 2, unreachable: 1, denied: 1 },
    { failed: 1 },
    { timeout: 1 },
  ]);
  for (const { records, whole } of jobs) {
    expect(whole).toBe(true);
    expect(records.map(({ type, value }) => schemas[type]!.safeParse(value).error)).toEqual(
      records.map(() => undefined),
    );
    expect(records[0]?.type).toBe(FRAME.open);
    expect(records.at(-1)?.type).toBe(FRAME.summary);
  }
});

async function documentOf({ hub }: Federation): Promise<Document> {
  return (await ask({ socketPath: hub.operator, path: '/api/v1/openapi.json' })).json as Document;
}

function routesOf({ paths }: Document): string[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

async function visitHandoffs(api: ReturnType<typeof checkedApi>, bearer: Record<string, string>): Promise<void> {
  const agents = [{ id: 'writer', description: 'writes', tags: ['prose'], concurrency: 1 }];
  await api.tcp('PUT', '/api/v1/node/agents', 200, bearer, { agents });
  await api.tcp('PUT', '/api/v1/node/agents', 400, bearer, { agents: [{ ...agents[0], id: '..' }] });
  await api.tcp('PUT', '/api/v1/node/agents', 401, {}, { agents });
  await api.get('/api/v1/agents', '/api/v1/agents', 200);
  const all = '/api/v1/handoffs';
  const one = '/api/v1/handoffs/{id}';
  const wish = { key: 'k1', target: 'writer', task: 'a poem' };
  const { id } = (await api.post(all, all, 201, wish)).json as { id: string };
  await api.post(all, all, 200, wish);
  await api.post(all, all, 409, { ...wish, task: 'prose' });
  await api.post(all, all, 404, { ...wish, key: 'k2', target: 'nobody' });
  await api.post(all, all, 400, { ...wish, key: 'two words' });
  await api.get(all, '/api/v1/handoffs?limit=10', 200);
  await api.get(all, '/api/v1/handoffs?limit=0', 400);
  await api.get(one, `/api/v1/handoffs/${id}`, 200);
  await api.get(one, `/api/v1/handoffs/${NO_JOB}`, 404);
  await api.get(one, '/api/v1/handoffs/none', 400);
  await api.delete(one, `/api/v1/handoffs/${id}`, 202);
  await api.delete(one, `/api/v1/handoffs/${NO_JOB}`, 404);
  const events = '/api/v1/handoffs/{id}/events';
  await api.get(events, `/api/v1/handoffs/${NO_JOB}/events`, 404);
  await api.get(events, `/api/v1/handoffs/${id}/events?after=-1`, 400);
  const artefact = '/api/v1/handoffs/{id}/artefacts/{name}';
  await api.get(artefact, `/api/v1/handoffs/${id}/artefacts/poem.txt`, 404);
  await api.get(artefact, `/api/v1/handoffs/${id}/artefacts/..%2fetc`, 400);
  const message = { key: 'm1', target: 'host/writer', message: 'hello' };
  const sent = (await api.post('/api/v1/messages', '/api/v1/messages', 201, message)).json as { id: string };
  await api.post('/api/v1/messages', '/api/v1/messages', 200, message);
  await api.post('/api/v1/messages', '/api/v1/messages', 409, { ...message, message: 'other' });
  await api.get('/api/v1/messages/{id}', `/api/v1/messages/${sent.id}`, 200);
  await api.get('/api/v1/messages/{id}', `/api/v1/messages/${NO_JOB}`, 404);
  const onward = { ...wish, key: 'k3', parent: id };
  await api.tcp('POST', '/api/v1/node/handoffs', 403, bearer, onward);
  await api.tcp('POST', '/api/v1/node/handoffs', 400, bearer, wish);
  const ofNode = '/api/v1/node/handoffs/{id}';
  // What is not handed on by a node is not there for it.
  await api.at(ofNode, 'GET', `/api/v1/node/handoffs/${id}`, 404, bearer);
  await api.at(ofNode, 'DELETE', `/api/v1/node/handoffs/${id}`, 404, bearer);
  await api.at(`${ofNode}/events`, 'GET', `/api/v1/node/handoffs/${id}/events`, 404, bearer);
}

async function bareNodeWithHost(federation: Federation) {
  const node = bareNode(federation.hub, { name: 'host', offers: ['node-host'], token: await federation.token({}) });
  onTestFinished(() => node.stop());
  return node.welcome();
}

/** Asks, and holds each answer to the document. */
function checkedApi({ hub }: Federation, document: Document) {
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    formats: { 'date-time': ISO, date: /^\d{4}-\d\d-\d\d$/, binary: true },
  });
  const visited = new Set<string>();

  function check(method: string, template: string, expected: number, answer: Answer): Answer {
    expect([method, template, answer.status, answer.text]).toEqual([method, template, expected, answer.text]);
    const operation = document.paths[template]?.[method.toLowerCase()];
    const response = operation?.responses[String(expected)] ?? operation?.responses['default'];
    expect([template, response]).not.toEqual([template, undefined]);
    visited.add(`${method} ${template}`);
    const content = response?.content;
    if (content === undefined) {
      expect(answer.text).toBe('');
      return answer;
    }
    expect(answer.headers['content-type']).toMatch(/^application\/json/);
    const validate = ajv.compile({ ...content['application/json']?.schema, components: document.components ?? {} });
    validate(answer.json);
    expect([template, answer.json, validate.errors]).toEqual([template, answer.json, null]);
    return answer;
  }

  function onSocket(method: string) {
    return async (template: string, path: string, expected: number, body?: object) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const options = { socketPath: hub.operator, method, path, headers };
      return check(
        method,
        template,
        expected,
        await ask(options, body === undefined ? undefined : JSON.stringify(body)),
      );
    };
  }

  return {
    visited,
    get: onSocket('GET'),
    post: onSocket('POST'),
    put: onSocket('PUT'),
    delete: onSocket('DELETE'),
    async at(template: string, method: string, path: string, expected: number, headers: Record<string, string>) {
      check(method, template, expected, await ask({ host: '127.0.0.1', port: hub.port, method, path, headers }));
    },
    async tcp(method: string, path: string, expected: number, headers: Record<string, string>, body?: object) {
      const json: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
      const options = { host: '127.0.0.1', port: hub.port, method, path, headers: { ...headers, ...json } };
      return check(method, path, expected, await ask(options, body === undefined ? undefined : JSON.stringify(body)));
    },
  };
}

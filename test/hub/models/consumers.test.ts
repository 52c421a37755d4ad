import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import type { ListedModelView } from '#src/protocol/models.ts';
import type { ModelKeyCreate, ModelKeyCreated, ModelKeyView, ModelUsage } from '#src/protocol/model-keys.ts';
import { eventually } from '../../support/eventually.ts';
import type { Federation } from '../../support/federation.ts';
import { startFederation } from '../../support/federation.ts';
import type { Answer } from '../../support/http.ts';
import { ask } from '../../support/http.ts';
import type { ModelServer } from '../../support/model-server.ts';
import { modelServer } from '../../support/model-server.ts';

let federation: Federation;
let server: ModelServer;
let secret: string;

beforeAll(async () => {
  server = await modelServer({ key: 'sk-upstream', models: [{ id: 'qwen3:8b' }, { id: 'llama3' }] });
  federation = await startFederation({ workers: 2 });
  await writeFile(join(federation.home('w1'), 'key'), 'sk-upstream\n', { mode: 0o600 });
  const upstreams = `upstreams:\n- {name: box, baseUrl: '${server.baseUrl}', keyFile: key}\n`;
  await writeFile(join(federation.home('w1'), 'models.yaml'), upstreams);
  await eventually('the hub knows what w1 shares', async () => (await listed()).includes('w1/llama3'));
  secret = (await key({ name: 'ci' })).secret;
});
afterAll(async () => {
  await federation[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const listed = async (): Promise<string[]> => (await federation.get<ListedModelView[]>('/models')).map(({ id }) => id);
const key = (wanted: ModelKeyCreate) => federation.post<ModelKeyCreated>('/models/keys', wanted);
const portOf = async (name: string): Promise<number> => (await record(name)).models!.port!;
const record = async (name: string) =>
  JSON.parse(await readFile(join(federation.home(name), 'worker.json'), 'utf8')) as WorkerRecord;

function complete(port: number, bearer: string, text: string, more: object = {}, model = 'qwen3:8b'): Promise<Answer> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: text }], ...more });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` };
  return ask({ host: '127.0.0.1', port, method: 'POST', path: '/v1/chat/completions', headers }, body);
}

const said = ({ json }: Answer): string | undefined =>
  (json as { choices?: { message: { content: string } }[] }).choices?.[0]?.message.content;
const codeOf = ({ json }: Answer): string | undefined => (json as { error?: { code?: string } }).error?.code;

test('a program with a key asks the hub, and the upstream sees the node’s own key and not that one', async () => {
  const answer = await complete(federation.hub.port, secret, 'hello there');
  expect([answer.status, said(answer)]).toEqual([200, 'hello there']);
  expect(server.asked.at(-1)?.headers.authorization).toBe('Bearer sk-upstream');
  expect(JSON.stringify(server.requests.map(({ rawHeaders }) => rawHeaders))).not.toContain(secret);
});

test.each([
  ['a node that is none', { 'x-federation-node': 'zzz' }, 'qwen3:8b'],
  ['a model that is none', {}, 'qwen3:8'],
  ['a model that this node has not', { 'x-federation-node': 'w2' }, 'qwen3:8b'],
])('a program with a key learns of no node and no model by asking for %s', async (_, headers, model) => {
  const answer = await ask(
    {
      ...{ host: '127.0.0.1', port: federation.hub.port, method: 'POST', path: '/v1/chat/completions' },
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}`, ...headers },
    },
    JSON.stringify({ model, messages: [] }),
  );
  expect(answer.status).toBe(404);
  expect(JSON.stringify(answer.json)).not.toMatch(/w1|w2|llama3|qwen3:8b/);
});

test('every node reaches the models of every other by its own port, with its own key', async () => {
  const own = (await readFile(join(federation.home('w2'), 'models.key'), 'utf8')).trim();
  const answer = await complete(await portOf('w2'), own, 'from afar');
  expect([answer.status, said(answer)]).toEqual([200, 'from afar']);
  expect((await complete(await portOf('w2'), 'wrong', 'x')).status).toBe(401);
  expect((await record('w1')).models).toMatchObject({
    problem: null,
    portProblem: null,
    upstreams: [{ name: 'box', models: 2, problem: null }],
  });
});

test.each([
  ['GET', '/v1/files'],
  ['GET', '/v1/responses/resp_1'],
  ['DELETE', '/v1/models/llama3'],
  ['POST', '/v1/fine_tuning/jobs'],
  ['POST', '/v1/load_lora_adapter'],
])('a key for one model has nothing else of the account at the upstream: %s %s', async (method, path) => {
  const { secret: few } = await key({
    name: `few-${method}${path}`.toLowerCase().replaceAll(/[^a-z]/g, ''),
    models: ['llama3'],
  });
  const headers = { 'content-type': 'application/json', 'content-length': '18', authorization: `Bearer ${few}` };
  const before = server.requests.length;
  const answer = await ask(
    { host: '127.0.0.1', port: federation.hub.port, method, path, headers },
    '{"model":"llama3"}',
  );
  expect([answer.status, codeOf(answer)]).toEqual([403, 'federation_forbidden']);
  expect(server.requests).toHaveLength(before);
});

test('a key is for its models, and lists no others', async () => {
  const { secret: narrow } = await key({ name: 'narrow', models: ['llama*'] });
  const headers = { authorization: `Bearer ${narrow}` };
  const list = await ask({ host: '127.0.0.1', port: federation.hub.port, path: '/v1/models', headers });
  expect((list.json as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual(['llama3']);
  const refused = await complete(federation.hub.port, narrow, 'x');
  expect([refused.status, codeOf(refused)]).toEqual([403, 'federation_forbidden']);
  expect((await complete(federation.hub.port, narrow, 'x', {}, 'llama3')).status).toBe(200);
});

test('a budget that is used refuses what comes after it, and a revoked key everything', async () => {
  const { secret: small, name } = await key({ name: 'small', budgets: [{ amount: 1, unit: 'requests', per: 'day' }] });
  expect((await complete(federation.hub.port, small, 'x')).status).toBe(200);
  const refused = await complete(federation.hub.port, small, 'x');
  expect([refused.status, codeOf(refused)]).toEqual([429, 'federation_budget_exceeded']);
  expect(refused.headers['x-should-retry']).toBe('false');
  await federation.post(`/models/keys/${name}/revoke`);
  expect((await complete(federation.hub.port, small, 'x')).status).toBe(401);
});

test('an answer that its model server keeps is asked for again where it was made, by who had it made alone', async () => {
  const { secret: other } = await key({ name: 'other' });
  const own = (await readFile(join(federation.home('w1'), 'models.key'), 'utf8')).trim();
  const to = (port: number, bearer: string, method: string, path: string, body?: object) =>
    ask(
      {
        ...{ host: '127.0.0.1', port, method, path },
        headers: { 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
      },
      body === undefined ? undefined : JSON.stringify(body),
    );
  for (const [port, bearer, refused] of [
    [federation.hub.port, secret, other],
    [await portOf('w1'), own, null],
    [await portOf('w2'), (await readFile(join(federation.home('w2'), 'models.key'), 'utf8')).trim(), null],
  ] as const) {
    for (const stream of [false, true]) {
      const made = await to(port, bearer, 'POST', '/v1/responses', { model: 'qwen3:8b', input: 'hello', stream });
      const id = /"id":"(resp_[^"]+)"/.exec(made.text)![1]!;
      const before = server.requests.length;
      await to(port, bearer, 'GET', `/v1/responses/${id}`);
      await to(port, bearer, 'DELETE', `/v1/responses/${id}`);
      const asked = server.requests.slice(before).map(({ method, path }) => `${method} ${path}`);
      expect(asked.filter((line) => line.includes('/responses/'))).toEqual([
        `GET /v1/responses/${id}`,
        `DELETE /v1/responses/${id}`,
      ]);
      const status = refused === null ? 404 : (await to(port, refused, 'GET', `/v1/responses/${id}`)).status;
      expect(status).toBe(404);
    }
  }
});

test('a key that asks too often is told so before its request is read', async () => {
  const { secret: slow } = await key({ name: 'hasty', rpm: 1 });
  const { port } = federation.hub;
  expect((await complete(port, slow, 'x')).status).toBe(200);
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${slow}`, 'content-length': '1000000' };
  // Nothing of its body ever comes.
  const asking = request({ host: '127.0.0.1', port, method: 'POST', path: '/v1/chat/completions', headers });
  asking.on('error', () => undefined);
  asking.write('{');
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(429);
  asking.destroy();
});

test('a key that asks too often is told when to come again', async () => {
  const { secret: slow } = await key({ name: 'slow', rpm: 1 });
  expect((await complete(federation.hub.port, slow, 'x')).status).toBe(200);
  const refused = await complete(federation.hub.port, slow, 'x');
  expect([refused.status, codeOf(refused)]).toEqual([429, 'federation_models_busy']);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
});

test('what is used is counted by key, node and model, of streams too, and survives a hub that starts anew', async () => {
  const { secret: counted } = await key({ name: 'counted' });
  await complete(federation.hub.port, counted, 'one two three');
  await complete(federation.hub.port, counted, 'four five', { stream: true, stream_options: { include_usage: true } });
  const rowOf = async () => {
    const { rows } = await federation.get<ModelUsage>('/models/usage?by=consumer');
    return rows.find(({ name }) => name === 'counted');
  };
  const before = await eventually('both are counted', async () => {
    const row = await rowOf();
    return row?.requests === 2 ? row : null;
  });
  expect(before).toMatchObject({ kind: 'key', failed: 0, tokens: { output: 5, cached: 2 } });
  const spent = async () =>
    (await federation.get<ModelKeyView[]>('/models/keys')).find(({ name }) => name === 'counted');
  expect((await spent())?.spent.day).toEqual({ tokens: before.tokens.input + 5, requests: 2 });
  const metrics = await ask({ socketPath: federation.hub.operator, path: '/metrics' });
  expect(metrics.headers['content-type']).toMatch(/^text\/plain/);
  expect(metrics.text).toMatch(/tokens_total\{node="w1",model="qwen3:8b",kind="output"\} \d+/);
  expect(metrics.text).not.toContain('counted');
  await federation.restartHub();
  expect(await rowOf()).toEqual(before);
  expect((await spent())?.spent.total.requests).toBe(2);
  await federation.untilOnline('w1', 'w2');
  await eventually('w1 shares again', async () => (await listed()).includes('qwen3:8b'));
  expect((await complete(federation.hub.port, counted, 'x')).status).toBe(200);
});

test('no key is in a log, nor a word of what was asked', async () => {
  await complete(federation.hub.port, secret, 'swordfish');
  await eventually('it is in the log', () => federation.logs.some((line) => line.includes('a model was used')));
  for (const word of [secret, 'sk-upstream', 'swordfish']) {
    expect(federation.logs.filter((line) => line.includes(word))).toEqual([]);
  }
});

test('a file that is broken is in the status of the hub, and changes nothing', async () => {
  const path = join(federation.home('w1'), 'models.yaml');
  const before = await readFile(path, 'utf8');
  const problems = async () => (await federation.get<Status>('/status')).models?.problems ?? [];
  await writeFile(path, `${before}- {name: worse}\n`);
  await eventually('it is said', async () => (await problems()).length > 0);
  expect(await problems()).toEqual([{ node: 'w1', problem: expect.stringMatching(/^models\.yaml: .*\(worse\)/) }]);
  expect(await listed()).toContain('w1/llama3');
  await writeFile(path, before);
  await eventually('it is well again', async () => (await problems()).length === 0);
});

test('what a node shares is gone with it, and there again with it', async () => {
  await federation.stop('w1');
  await eventually('it is gone', async () => (await listed()).length === 0);
  const answer = await complete(federation.hub.port, secret, 'x');
  expect([answer.status, codeOf(answer)]).toEqual([503, 'federation_model_unavailable']);
  await federation.start('w1');
  await eventually('it is there', async () => (await listed()).includes('qwen3:8b'));
});

test('a node’s own models work while the hub is away', async () => {
  const own = (await readFile(join(federation.home('w1'), 'models.key'), 'utf8')).trim();
  await federation.stopHub();
  const answer = await complete(await portOf('w1'), own, 'alone');
  expect([answer.status, said(answer)]).toEqual([200, 'alone']);
  expect((await complete(await portOf('w2'), own, 'x')).status).toBe(401);
  await federation.startHub();
});

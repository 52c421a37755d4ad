import { chmod, rm, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { providersIn } from '#src/plugin/models/providers.ts';
import { sharesText } from '#src/plugin/models/list.ts';
import type { ModelServer } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { OpenClawWithModels } from './openclaw-with-models.ts';
import { openclawWithModels } from './openclaw-with-models.ts';

let server: ModelServer;
let openclaw: OpenClawWithModels;

beforeEach(async () => {
  server = await modelServer();
  openclaw = await openclawWithModels({
    router: { baseUrl: server.baseUrl, models: [{ id: 'a/echo', name: 'Echo', headers: { 'x-model': 'echo' } }] },
    claude: { baseUrl: server.baseUrl.replace('/v1', ''), api: 'anthropic-messages', models: [{ id: 'opus' }] },
  });
});

afterEach(async () => {
  await openclaw[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const HELLO = '{"model" : "router/a/echo","messages":[{"role":"user","content":"h\\u0069"}],"top_p":1.0}';

async function errorOf(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, code: error.code, message: error.message };
}

describe('a request to a provider', () => {
  it('is the same but for the name of the model and the key', async () => {
    const response = await openclaw.post('/chat/completions?x=%20', HELLO, { 'x-own': 'kept', cookie: 'a=b' });
    expect(response.status).toBe(200);
    const seen = server.asked[0];
    expect(seen?.body.toString()).toBe(HELLO.replace('router/a/echo', 'a/echo'));
    expect(seen?.path).toBe('/v1/chat/completions?x=%20');
    expect(seen?.headers).toMatchObject({ authorization: 'Bearer key-of-router', 'x-own': 'kept', 'x-model': 'echo' });
    expect(seen?.headers.cookie).toBe(undefined);
    expect(response.headers.get('x-content-type-options')).toBe(null);
  });

  it('in Anthropic’s language goes where its clients go, with the key as they send it', async () => {
    const response = await openclaw.post('/messages', { model: 'claude/opus', max_tokens: 1, messages: [] });
    expect(response.status).toBe(200);
    expect(server.asked[0]).toMatchObject({ path: '/v1/messages', headers: { 'x-api-key': 'key-of-claude' } });
    expect(server.asked[0]?.headers.authorization).toBe(undefined);
  });

  it('tells a provider on this machine the way that it came by', async () => {
    await openclaw.post('/chat/completions', HELLO, { 'x-federation-hops': '2', 'x-federation-via': 'aa,bb' });
    expect(server.asked[0]?.headers).toMatchObject({ 'x-federation-hops': '2', 'x-federation-via': 'aa,bb' });
  });

  it.each([
    ['no provider of that name', '/chat/completions', { model: 'nobody/x' }, 'nobody is not configured'],
    ['no model', '/chat/completions', {}, 'name a model: PROVIDER/MODEL'],
    ['a language that it does not speak', '/messages', { model: 'router/x' }, 'router answers no /v1/messages'],
  ])('with %s is refused', async (_, path, body, message) => {
    const { status, ...said } = await errorOf(await openclaw.post(path, body));
    expect({ status, message: said.message }).toEqual({ status: 404, message: expect.stringContaining(message) });
    expect(server.asked).toEqual([]);
  });

  it.each([
    ['two models', '{"model":"router/a","model":"router/b"}', 400],
    ['no JSON', 'model=router', 404],
  ])('with %s is refused', async (_, body, status) => {
    expect((await openclaw.post('/chat/completions', body)).status).toBe(status);
    expect(server.asked).toEqual([]);
  });

  it.each([
    ['is a login', { apiKey: 'ey', mode: 'oauth' } as const, 'router uses a login (oauth), and not a key'],
    ['is not there', { mode: 'api-key' } as const, 'OpenClaw has no key for router'],
    ['is no header', { apiKey: 'a\r\nb: c', mode: 'api-key' } as const, 'OpenClaw has no key for router'],
    ['can’t be resolved', 'throws' as const, 'OpenClaw has no key for router'],
  ])('whose key %s fails without a word of it', async (_, auth, message) => {
    openclaw.auth.set('router', auth);
    const failure = await errorOf(await openclaw.post('/chat/completions', HELLO));
    expect(failure).toMatchObject({ status: 502, message: expect.stringContaining(message) });
    expect(failure.message).not.toContain('sk-123');
    expect(server.asked).toEqual([]);
  });

  it('to one that is gone fails as such', async () => {
    await server.die();
    expect(await errorOf(await openclaw.post('/chat/completions', HELLO))).toMatchObject({
      status: 502,
      code: 'federation_upstream_failed',
      message: 'the provider router does not answer (ECONNREFUSED)',
    });
  });

  it('that is given up ends there', async () => {
    server.next(() => undefined);
    const leaving = new AbortController();
    const { key, url } = openclaw;
    const asked = fetch(`${url}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: HELLO,
      signal: leaving.signal,
    });
    await expect.poll(() => server.asked.length).toBe(1);
    leaving.abort();
    await expect(asked).rejects.toThrow(/abort/i);
    await server.untilAborted(1);
  });

  it('whose answer breaks off is seen to', async () => {
    const words = { role: 'user', content: '[[words 9]] [[break 2]]' };
    const body = { model: 'router/a/echo', stream: true, messages: [words] };
    await expect((await openclaw.post('/chat/completions', body)).text()).rejects.toThrow('terminated');
  });
});

describe('the route', () => {
  /** As Node sends it, with a name of the host that `fetch` would not. */
  function statusOf(headers: Record<string, string>, path = '/models'): Promise<number | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const asking = request(`${openclaw.url}${path}`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asking.on('error', reject).end();
    return promise;
  }
  const bearer = () => ({ authorization: `Bearer ${openclaw.key}` });

  it('is for who has the key, by its own name, and no web page', async () => {
    expect(await statusOf(bearer())).toBe(200);
    expect(await statusOf({})).toBe(401);
    expect(await statusOf({ authorization: 'Bearer k' })).toBe(401);
    expect(await statusOf({ ...bearer(), origin: 'http://127.0.0.1' })).toBe(403);
    expect(await statusOf({ ...bearer(), host: 'evil.example' })).toBe(403);
    expect(await statusOf(bearer(), '/../../tools/invoke')).toBe(404);
    expect(await statusOf(bearer(), '/%2e%2e/x')).toBe(404);
  });

  it('is shut where the key is not this user’s alone', async () => {
    await chmod(openclaw.keyFile, 0o644);
    expect(await statusOf(bearer())).toBe(403);
    await rm(openclaw.keyFile);
    expect(await statusOf(bearer())).toBe(403);
    await writeFile(`${openclaw.keyFile}.other`, openclaw.key, { mode: 0o600 });
    await symlink(`${openclaw.keyFile}.other`, openclaw.keyFile);
    expect(await statusOf(bearer())).toBe(403);
    await rm(openclaw.keyFile);
    await writeFile(openclaw.keyFile, '', { mode: 0o600 });
    expect(await statusOf({ authorization: 'Bearer ' })).toBe(403);
  });

  it('sends nobody elsewhere, who would take the prompt there', async () => {
    server.otherwise = (_, response) => void response.writeHead(307, { location: 'http://evil.example/' }).end();
    const response = await fetch(`${openclaw.url}/chat/completions`, {
      ...{ method: 'POST', redirect: 'manual', body: HELLO },
      headers: { 'content-type': 'application/json', ...bearer() },
    });
    expect(response.headers.has('location')).toBe(false);
    expect((await errorOf(response)).status).toBe(502);
  });

  it('lists what can be shared, with what is known of it, and the rest with the reason', async () => {
    openclaw.auth.set('claude', 'throws');
    const facts = { reasoning: true, input: ['text', 'image'], contextWindow: 8192, maxTokens: 100 };
    openclaw.providers = {
      ...openclaw.providers,
      local: { baseUrl: server.baseUrl, models: [{ id: 'q', ...facts, cost: { input: 1, output: 2 } }] },
      responses: { baseUrl: server.baseUrl, api: 'openai-responses', models: [{ id: 'r' }] },
    };
    const list = await (await fetch(`${openclaw.url}/models`, { headers: bearer() })).json();
    expect(list).toEqual({
      object: 'list',
      data: [
        { id: 'router/a/echo', object: 'model', created: 0, owned_by: 'openclaw' },
        {
          ...{ id: 'local/q', object: 'model', created: 0, owned_by: 'openclaw', reasoning: true },
          ...{ context_window: 8192, max_output_tokens: 100, input_modalities: ['text', 'image'] },
          cost: { input: 1, output: 2, cacheRead: 0, cacheWrite: 0 },
        },
        { id: 'responses/r', object: 'model', created: 0, owned_by: 'openclaw', endpoints: ['/v1/responses'] },
      ],
      not_shared: [{ id: 'claude', reason: 'can’t be used: OpenClaw has no key for claude' }],
    });
  });
});

describe('a provider is not shared', () => {
  const BASE = { baseUrl: 'https://api.example/v1' };
  const federation = { baseUrl: 'http://127.0.0.1:19001/v1', models: [] };
  it.each([
    ['federation', federation, 'is the federation itself'],
    ['again', { ...federation, baseUrl: 'http://127.0.0.1:19001/v1/' }, 'leads back to the federation'],
    ['plugin', { baseUrl: 'http://127.0.0.1:18789/federation/models/v1' }, 'leads back to the federation'],
    ['gemini', { ...BASE, api: 'google-generative-ai' }, 'speaks google-generative-ai, which is not carried'],
    ['codex', { ...BASE, auth: 'oauth' }, 'uses a login (oauth), and not a key'],
    ['proxied', { ...BASE, request: { proxy: { mode: 'env-proxy' } } }, 'has its requests changed by `request`'],
    ['local', { ...BASE, localService: { command: '/x' } }, 'has a server that OpenClaw starts for itself'],
    ['secret', { ...BASE, headers: { a: { source: 'env' } } }, 'has headers that are not there as texts'],
    ['variable', { ...BASE, headers: { a: '${KEY}' } }, 'has headers that are not there as texts'],
    ['bundled', { models: [] }, 'has no base URL in OpenClaw’s settings'],
    ['file', { baseUrl: 'file:///etc/passwd' }, 'has no base URL in OpenClaw’s settings'],
    ['user', { baseUrl: 'https://a:b@api.example/v1' }, 'has no base URL in OpenClaw’s settings'],
    ['strange', 'words', 'is written in a way that is not known here'],
  ])('%s: for its reason', (id, provider, reason) => {
    const found = providersIn({ models: { providers: { federation, [id]: provider } } });
    expect(found.shared).toEqual([]);
    expect(found.notShared).toContainEqual({ id, reason });
  });

  it('nor a model of one that has another server or language than the rest', () => {
    const models = [{ id: 'a', baseUrl: 'http://b' }, { id: 'b', api: 'anthropic-messages' }, 7, { id: 'c' }];
    const { shared } = providersIn({ models: { providers: { one: { ...BASE, models } } } });
    expect(shared[0]?.models.map(({ id }) => id)).toEqual(['c']);
  });

  it.each([[undefined], [{}], [{ models: {} }], [{ models: 'x' }]])('where there is none: %j', (config) => {
    expect(providersIn(config)).toEqual({ shared: [], notShared: [] });
    expect(sharesText({ object: 'list', data: [], not_shared: [] })).toBe(
      'No provider is configured in this OpenClaw.',
    );
  });

  it('and what it is called does nothing to a terminal', () => {
    const text = sharesText({ object: 'list', data: [{ id: 'a\x1b[2J\nb' }], not_shared: [] });
    // oxlint-disable-next-line no-control-regex -- that is what must not be in it
    expect(text).not.toMatch(/[\x00-\x1f]/);
  });
});

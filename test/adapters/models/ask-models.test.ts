import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { askForModels } from '#src/adapters/models/ask-models.ts';
import { guardedLookup } from '#src/adapters/models/guarded-lookup.ts';
import { readModelList, readRunning } from '#src/adapters/models/told.ts';
import { keyHeaders, readUpstreamKey } from '#src/adapters/models/upstream-key.ts';
import type { ModelServer } from '../../support/model-server.ts';
import { modelServer } from '../../support/model-server.ts';

const never = new AbortController().signal;

describe('asking a server for its models', () => {
  let server: ModelServer;
  beforeEach(async () => {
    server = await modelServer();
  });
  afterEach(() => server[Symbol.asyncDispose]());

  const ask = (headers: Record<string, string> = {}, api: 'openai' | 'anthropic' = 'openai') =>
    askForModels({ api, baseUrl: server.baseUrl, headers }, never);
  const answer = (path: string, status: number, body: unknown, headers: Record<string, string> = {}) =>
    server.handlers.set(path, (_, response) => {
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
    });

  test('OpenAI’s list: names, and nothing that was not said', async () => {
    expect(await ask()).toEqual([{ name: 'echo', loaded: null }]);
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v1/models']);
  });

  test('a key goes where it belongs', async () => {
    server.key = 'sk-1';
    await expect(ask()).rejects.toMatchObject({
      code: 'UPSTREAM_FAILED',
      message: expect.stringContaining('refuses the key'),
    });
    expect(await ask(keyHeaders('openai', 'sk-1'))).toHaveLength(1);
    expect(await ask(keyHeaders('anthropic', 'sk-1'), 'anthropic')).toHaveLength(1);
    expect(server.requests.at(-1)).toMatchObject({
      path: '/v1/models?limit=1000',
      headers: { 'x-api-key': 'sk-1', 'anthropic-version': '2023-06-01' },
    });
  });

  test('vLLM, OpenRouter, llama.cpp and Anthropic say more', async () => {
    const openrouter = {
      id: 'anthropic/claude',
      context_length: 200_000,
      top_provider: { max_completion_tokens: 64_000 },
      pricing: { prompt: '0.000003', completion: '0.000015', input_cache_read: '0.0000003' },
      architecture: { input_modalities: ['text', 'image', 'file'] },
      supported_parameters: ['tools', 'reasoning'],
    };
    server.models = [
      { id: 'vllm', owned_by: 'vllm', max_model_len: 32_768 },
      openrouter,
      { id: 'gguf', owned_by: 'llamacpp', meta: { n_ctx_train: 131_072 }, status: { value: 'unloaded' } },
      { id: 'claude', type: 'model', max_input_tokens: 200_000, max_tokens: 8192 },
    ];
    expect(await ask()).toEqual([
      { name: 'vllm', contextWindow: 32_768, loaded: null },
      {
        ...{ name: 'anthropic/claude', contextWindow: 200_000, maxTokens: 64_000, reasoning: true, loaded: null },
        input: ['text', 'image'],
        cost: { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 0 },
      },
      { name: 'gguf', contextWindow: 131_072, loaded: false },
      { name: 'claude', contextWindow: 200_000, maxTokens: 8192, loaded: null },
    ]);
  });

  test('Ollama says by its own API what is in memory', async () => {
    server.models = [
      { id: 'qwen3:8b', owned_by: 'library' },
      { id: 'llama3:latest', owned_by: 'library' },
    ];
    answer('/api/ps', 200, { models: [{ name: 'qwen3:8b', model: 'qwen3:8b', context_length: 4096 }] });
    expect(await ask()).toEqual([
      { name: 'qwen3:8b', loaded: true, contextWindow: 4096 },
      { name: 'llama3:latest', loaded: false },
    ]);
    answer('/api/ps', 500, 'broken');
    expect(await ask()).toEqual([
      { name: 'qwen3:8b', loaded: null },
      { name: 'llama3:latest', loaded: null },
    ]);
  });

  test('LM Studio says by its own API what is in memory, and how much a model takes', async () => {
    server.models = [
      { id: 'qwen', owned_by: 'organization_owner' },
      { id: 'nomic', owned_by: 'organization_owner' },
    ];
    const own = [
      { id: 'qwen', type: 'vlm', state: 'loaded', max_context_length: 32_768, loaded_context_length: 8192 },
      { id: 'nomic', type: 'embeddings', state: 'not-loaded', max_context_length: 2048 },
    ];
    answer('/api/v0/models', 200, { object: 'list', data: own });
    expect(await ask()).toEqual([
      { name: 'qwen', contextWindow: 8192, input: ['text', 'image'], loaded: true },
      { name: 'nomic', contextWindow: 2048, endpoints: ['/v1/embeddings'], loaded: false },
    ]);
  });

  test.each<[number, unknown, RegExp]>([
    [401, '', /refuses the key \(401\)/],
    [403, '', /refuses the key \(403\)/],
    [302, '', /sends elsewhere \(302\), which is not followed/],
    [404, '', /has no list of models there \(404\)/],
    [500, '', /answers 500/],
    [200, '<html>', /answers, but not with a list of models/],
    [200, { models: [] }, /answers, but not with a list of models/],
    [200, { data: {} }, /answers, but not with a list of models/],
  ])('a server that answers %i %j', async (status, body, problem) => {
    answer('/v1/models', status, body, status === 302 ? { location: 'http://169.254.169.254/' } : {});
    await expect(ask()).rejects.toMatchObject({
      code: 'UPSTREAM_FAILED',
      message: expect.stringMatching(problem),
      hint: expect.stringMatching(/./),
    });
    expect(server.requests).toHaveLength(1);
  });

  test('an answer without end is left', async () => {
    server.handlers.set('/v1/models', (_, response) => {
      response.write('{"data":[');
      const more = (): void => {
        if (response.destroyed) return;
        response.write(' '.repeat(1 << 20), more);
      };
      more();
    });
    await expect(ask()).rejects.toMatchObject({ message: expect.stringContaining('more than a list of models') });
  });

  test('a question ends with its signal, and with a server that is not there', async () => {
    server.handlers.set('/v1/models', () => undefined);
    const stopping = new AbortController();
    const asking = askForModels({ api: 'openai', baseUrl: server.baseUrl, headers: {} }, stopping.signal);
    stopping.abort(new Error('over'));
    await expect(asking).rejects.toThrow('over');
    await server.die();
    await expect(ask()).rejects.toMatchObject({
      message: `nothing listens at http://127.0.0.1:${server.port}`,
      hint: 'start the model server',
    });
  });
});

describe('what a server tells', () => {
  test('of hostile shapes nothing is left but what fits', () => {
    const data = [
      null,
      [],
      'x',
      { id: 7 },
      { id: '' },
      { id: 'a', max_model_len: -1, pricing: { prompt: 'free' }, status: 'loaded', architecture: 3, meta: null },
      { id: 'b', context_length: 1e300, supported_parameters: 'all', state: 'sleepwalking' },
      { id: 'x'.repeat(513) },
    ];
    expect(readModelList({ data })?.models).toEqual([
      { name: 'a', loaded: null },
      { name: 'b', loaded: null },
    ]);
    expect([null, 1, 'a', [], {}].map(readModelList)).toEqual([null, null, null, null, null]);
    expect([null, 1, {}, { models: 3 }].map(readRunning)).toEqual([null, null, null, null]);
  });
});

describe('the key of an upstream', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ocf-key-'));
    onTestFinished(() => rm(folder, { recursive: true }));
  });

  async function file(text: string, mode = 0o600): Promise<string> {
    const path = join(folder, 'key');
    await writeFile(path, text);
    await chmod(path, mode);
    return path;
  }

  test('stands in a file or a variable, with or without a line end', async () => {
    expect(await readUpstreamKey({ keyFile: await file('sk-1\n') }, folder)).toBe('sk-1');
    expect(await readUpstreamKey({ keyFile: 'key' }, folder)).toBe('sk-1');
    expect(await readUpstreamKey({ keyEnvironment: 'K' }, folder, { K: ' sk-2 ' })).toBe('sk-2');
    expect(await readUpstreamKey({}, folder)).toBeNull();
  });

  test.each<[string, number, RegExp]>([
    ['sk-1', 0o640, /^the key file \S+ can be read by others$/],
    ['sk-1', 0o604, /^the key file \S+ can be read by others$/],
    ['', 0o600, /^the key file \S+ is empty$/],
    ['two words', 0o600, /^the key file \S+ holds something else than one key$/],
    ['a\nb', 0o600, /^the key file \S+ holds something else than one key$/],
    ['sk-\u00fc', 0o600, /^the key file \S+ holds something else than one key$/],
    ['x'.repeat(20_000), 0o600, /^the key file \S+ is no key$/],
  ])('%j with mode %o is refused, and not repeated', async (text, mode, problem) => {
    await expect(readUpstreamKey({ keyFile: await file(text, mode) }, folder)).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringMatching(problem),
    });
  });

  test('a file that is none, and a variable that is not set', async () => {
    await expect(readUpstreamKey({ keyFile: 'none' }, folder)).rejects.toMatchObject({
      message: expect.stringMatching(/can’t be read \(ENOENT\)/),
    });
    await expect(readUpstreamKey({ keyFile: folder }, folder)).rejects.toMatchObject({ code: 'SETTINGS_INVALID' });
    await symlink('/dev/zero', join(folder, 'endless'));
    await expect(readUpstreamKey({ keyFile: 'endless' }, folder)).rejects.toMatchObject({
      message: expect.stringMatching(/is no key/),
    });
    await expect(readUpstreamKey({ keyEnvironment: 'K' }, folder, {})).rejects.toMatchObject({
      message: 'the variable K is not set',
    });
    await expect(readUpstreamKey({ keyEnvironment: 'K' }, folder, { K: 'a b' })).rejects.toMatchObject({
      message: 'the variable K holds no key',
    });
  });
});

describe('a name', () => {
  const lookUp = (name: string, all = false): Promise<unknown> => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    guardedLookup(name, { family: 0, all }, (error, address) => (error === null ? resolve(address) : reject(error)));
    return promise;
  };

  test('is looked up as Node does', async () => {
    expect(await lookUp('127.0.0.1')).toBe('127.0.0.1');
    expect(await lookUp('127.0.0.1', true)).toEqual([{ address: '127.0.0.1', family: 4 }]);
    await expect(lookUp('no-such-name.invalid')).rejects.toMatchObject({ syscall: 'getaddrinfo' });
  });

  test('that leads to where clouds keep credentials is not gone to', async () => {
    for (const address of ['169.254.169.254', 'fe80::1'])
      await expect(lookUp(address)).rejects.toThrow(`leads to ${address}`);
  });
});

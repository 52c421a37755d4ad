import { afterEach, beforeEach, expect, it } from 'vitest';
import { federationProvider } from '#src/plugin/models/provider.ts';
import type { ModelServer } from '../support/model-server.ts';
import { modelServer } from '../support/model-server.ts';
import type { Auth } from './openclaw-with-models.ts';
import { fakeApi } from './openclaw-with-models.ts';

const COST = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 };

let proxy: ModelServer;
let auth: Map<string, Auth>;

beforeEach(async () => {
  auth = new Map();
  proxy = await modelServer({
    key: 'key-of-federation',
    models: [
      { id: 'qwen3:8b', context_window: 40_960, max_output_tokens: 8192, reasoning: true },
      { id: 'box/llava', input_modalities: ['text', 'image'], cost: COST },
      { id: 'opus', endpoints: ['/v1/messages'] },
      { id: 'embed', endpoints: ['/v1/embeddings'] },
    ],
  });
});

afterEach(() => proxy[Symbol.asyncDispose]());

function ask(configured: object | null = { baseUrl: proxy.baseUrl, api: 'openai-completions', models: [] }) {
  const config = { models: { providers: configured === null ? {} : { federation: configured } } };
  const provider = federationProvider(fakeApi(() => config.models.providers, auth));
  return {
    model: (modelId: string) => provider.prepareDynamicModel!({ config, modelId, provider: 'federation' } as never),
    async listed(providerIds?: readonly string[]) {
      // oxlint-disable-next-line typescript/no-deprecated -- what is to follow it is not read for chats yet
      const found = await provider.catalog!.run({ config, env: {}, providerIds } as never);
      if (found === null || found === undefined || !('provider' in found)) return null;
      return found.provider.models.map(({ id, name, contextWindow }) => `${id} ${name} ${contextWindow}`);
    },
  };
}

it('OpenClaw learns what a model of the federation takes and costs', async () => {
  expect(await ask().model('qwen3:8b')).toEqual({
    ...{ id: 'qwen3:8b', name: 'qwen3:8b', provider: 'federation', reasoning: true, input: ['text'] },
    ...{ api: 'openai-completions', baseUrl: proxy.baseUrl, contextWindow: 40_960, maxTokens: 8192 },
    cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
  });
  expect(await ask().model('box/llava')).toMatchObject({
    input: ['text', 'image'],
    cost: COST,
    contextWindow: 128_000,
  });
});

it('a model that speaks Anthropic’s language alone is asked in it', async () => {
  const root = proxy.baseUrl.replace('/v1', '');
  expect(await ask().model('opus')).toMatchObject({ api: 'anthropic-messages', baseUrl: root });
});

it('nothing is told of a model that nobody has, that can’t chat, or where OpenClaw’s settings say nothing', async () => {
  expect(await ask().model('nobody')).toBe(undefined);
  expect(await ask().model('embed')).toBe(undefined);
  expect(await ask(null).model('qwen3:8b')).toBe(undefined);
});

it('a model proxy that does not answer, or turns it away, hides no model: they are used as nobody knows them', async () => {
  auth.set('federation', { apiKey: 'another-key', mode: 'api-key' });
  expect(await ask().model('qwen3:8b')).toBe(undefined);
  auth.set('federation', 'throws');
  expect(await ask().model('qwen3:8b')).toBe(undefined);
  auth.clear();
  await proxy.die();
  expect(await ask().model('qwen3:8b')).toBe(undefined);
});

it('a proxy is asked once for many turns', async () => {
  const { model } = ask();
  for (const id of ['qwen3:8b', 'opus', 'nobody']) await model(id);
  expect(proxy.requests).toHaveLength(1);
});

it('OpenClaw’s pickers are told of all that can chat, behind what the person listed', async () => {
  const own = { id: 'qwen3:8b', name: 'mine', contextWindow: 1000 };
  const configured = { baseUrl: proxy.baseUrl, api: 'openai-completions', models: [own] };
  const all = ['qwen3:8b mine 1000', 'box/llava box/llava 128000', 'opus opus 128000'];
  expect(await ask(configured).listed()).toEqual(all);
  expect(await ask(configured).listed(['federation'])).toEqual(all);
  expect(await ask(configured).listed(['another'])).toBe(null);
  expect(await ask(null).listed()).toBe(null);
});

it('pickers show what the person listed where the model proxy is gone', async () => {
  await proxy.die();
  expect(await ask().listed()).toEqual([]);
});

import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelChain } from '../support/model-chain.ts';
import type { ModelChain } from '../support/model-chain.ts';
import { modelServer } from '../support/model-server.ts';
import type { ModelServer } from '../support/model-server.ts';
import { CHATS } from './openai-chats.ts';
import { FAILURES } from './openai-failures.ts';
import { OTHERS } from './openai-others.ts';
import { RESPONSES } from './openai-responses.ts';
import { STREAMS } from './openai-streams.ts';
import type { SdkSetting } from './sdk.ts';
import { observe } from './sdk.ts';

const CALLS = [...CHATS, ...STREAMS, ...RESPONSES, ...OTHERS, ...FAILURES];

let upstream: ModelServer;
let chain: ModelChain;

beforeAll(async () => {
  upstream = await modelServer();
  chain = await modelChain([{ baseUrl: upstream.baseUrl, models: [{ id: 'echo' }] }]);
});
afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

function clientOf({ baseUrl, key, retries, timeoutMs, fetch }: SdkSetting): OpenAI {
  return new OpenAI({
    ...{ baseURL: baseUrl, apiKey: key, maxRetries: retries, timeout: timeoutMs, fetch },
    ...{ organization: 'org-1', project: 'proj-1', logLevel: 'off' },
  });
}

test('there are at least sixty calls', () => {
  expect(new Set(CALLS.map(({ name }) => name)).size).toBeGreaterThanOrEqual(60);
});

describe.each(CALLS)('$name', (call) => {
  test('is the same for the upstream and for the openai SDK by three proxies as without any', async () => {
    const straight = await observe(upstream, { port: upstream.port, key: 'sk-direct' }, clientOf, call);
    const carried = await observe(upstream, chain.far, clientOf, call);
    expect(carried).toEqual(straight);
  });
});

test('the SDK lists the models of a node, and finds one of them by its id', async () => {
  const { port, key } = chain.own;
  const client = clientOf({ baseUrl: `http://127.0.0.1:${port}/v1`, key, retries: 0, timeoutMs: 25_000, fetch });
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toContain('echo');
  await expect(client.models.retrieve('echo')).resolves.toMatchObject({ id: 'echo', object: 'model' });
  await expect(client.models.retrieve('nobody/has')).rejects.toMatchObject({
    status: 404,
    code: 'federation_model_not_found',
  });
});

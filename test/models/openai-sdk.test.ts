import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { echoChain } from './echo-chain.ts';
import type { EchoChain } from './echo-chain.ts';
import { CHATS } from './openai-chats.ts';
import { FAILURES } from './openai-failures.ts';
import { OTHERS } from './openai-others.ts';
import { RESPONSES } from './openai-responses.ts';
import { STREAMS } from './openai-streams.ts';
import type { SdkSetting } from './sdk.ts';
import { observeBoth, settingFor } from './sdk.ts';

const CALLS = [...CHATS, ...STREAMS, ...RESPONSES, ...OTHERS, ...FAILURES];

let { upstream, chain, stop } = {} as EchoChain;
beforeAll(async () => void ({ upstream, chain, stop } = await echoChain()));
afterAll(() => stop());

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
    const { straight, carried } = await observeBoth(upstream, chain.far, clientOf, call);
    expect(carried).toEqual(straight);
  });
});

test('the SDK lists the models of a node, and finds one of them by its id', async () => {
  const client = clientOf(settingFor(chain.own));
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toContain('echo');
  await expect(client.models.retrieve('echo')).resolves.toMatchObject({ id: 'echo', object: 'model' });
  await expect(client.models.retrieve('nobody/has')).rejects.toMatchObject({
    status: 404,
    code: 'federation_model_not_found',
  });
});

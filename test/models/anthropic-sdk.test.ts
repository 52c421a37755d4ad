import Anthropic from '@anthropic-ai/sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CALLS } from './anthropic-calls.ts';
import { echoChain } from './echo-chain.ts';
import type { EchoChain } from './echo-chain.ts';
import type { SdkSetting } from './sdk.ts';
import { observeBoth, settingFor } from './sdk.ts';

let { upstream, chain, stop } = {} as EchoChain;
beforeAll(async () => void ({ upstream, chain, stop } = await echoChain()));
afterAll(() => stop());

/** It sends its key as x-api-key, and writes `/v1` itself. */
function clientOf({ baseUrl, key, retries, timeoutMs, fetch }: SdkSetting): Anthropic {
  return new Anthropic({
    ...{ baseURL: baseUrl.slice(0, -'/v1'.length), apiKey: key, authToken: null, maxRetries: retries },
    ...{ timeout: timeoutMs, fetch, logLevel: 'off' },
  });
}

test('there are at least twenty calls', () => {
  expect(new Set(CALLS.map(({ name }) => name)).size).toBeGreaterThanOrEqual(20);
});

describe.each(CALLS)('$name', (call) => {
  test('is the same for the upstream and for the Anthropic SDK by three proxies as without any', async () => {
    const { straight, carried } = await observeBoth(upstream, chain.far, clientOf, call);
    expect(carried).toEqual(straight);
  });
});

test('the SDK lists the models of a node, and is told in its own words what there is not', async () => {
  const client = clientOf(settingFor(chain.own));
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  expect(ids).toEqual(['echo']);
  const asking = { model: 'nobody', max_tokens: 1, messages: [{ role: 'user' as const, content: 'hi' }] };
  await expect(client.messages.create(asking)).rejects.toMatchObject({
    status: 404,
    error: { type: 'error', error: { type: 'not_found_error', code: 'federation_model_not_found' } },
  });
});

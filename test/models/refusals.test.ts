import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Asking } from './client.ts';
import { answerOf, readAll, start } from './client.ts';
import { echoChain } from './echo-chain.ts';
import type { EchoChain } from './echo-chain.ts';

let { upstream, chain, stop } = {} as EchoChain;
beforeAll(async () => void ({ upstream, chain, stop } = await echoChain()));
afterAll(() => stop());

interface Refused extends Asking {
  readonly name: string;
  readonly status: number;
  readonly code: string;
  /** In OpenAI's words, and in Anthropic's. */
  readonly types: readonly [openai: string, anthropic: string];
}

const INVALID = ['invalid_request_error', 'invalid_request_error'] as const;

const REFUSED: readonly Refused[] = [
  {
    ...{ name: 'who has no right', headers: { authorization: 'Bearer none' } },
    ...{ status: 401, code: 'unauthenticated', types: ['authentication_error', 'authentication_error'] },
  },
  { name: 'half of a JSON object', body: '{"model":"ec', status: 400, code: 'usage', types: INVALID },
  { name: 'what is no JSON', body: 'model=echo', status: 400, code: 'usage', types: INVALID },
  { name: 'a body without a model', body: '{"messages":[]}', status: 400, code: 'usage', types: INVALID },
  { name: 'a body with two', body: '{"model":"echo","model":"b"}', status: 400, code: 'usage', types: INVALID },
  {
    ...{ name: 'a model that is none', body: '{"model":"nobody"}' },
    ...{ status: 404, code: 'model_not_found', types: ['not_found_error', 'not_found_error'] },
  },
  {
    ...{ name: 'a body over the limit', body: '{', headers: { 'content-length': String((256 << 20) + 1) } },
    ...{ status: 413, code: 'payload_too_large', types: ['invalid_request_error', 'request_too_large'] },
  },
  {
    ...{ name: 'a method that is none', method: 'PURGE' },
    ...{ status: 404, code: 'not_found', types: ['not_found_error', 'not_found_error'] },
  },
];

describe.each(['own', 'hub', 'far'] as const)('by the way %s', (way) => {
  test.each(REFUSED)('$name is refused in the words of the API that is asked', async (one) => {
    const { status, code, types, ...asking } = one;
    const before = upstream.requests.length;
    const refusalAt = async (path: string) => {
      const response = await answerOf(start(chain[way], { ...asking, path }));
      expect(response.headers['content-type']).toBe('application/json');
      return { status: response.statusCode, body: JSON.parse((await readAll(response)).text) as unknown };
    };
    const message = expect.stringMatching(/\w/);
    const named = `federation_${code}`;
    expect(await refusalAt('/v1/chat/completions')).toEqual({
      status,
      body: { error: { message, type: types[0], param: null, code: named } },
    });
    expect(await refusalAt('/v1/messages')).toEqual({
      status,
      body: { type: 'error', error: { type: types[1], message, code: named } },
    });
    expect(upstream.requests).toHaveLength(before);
  });
});

test.each([
  ['has passed as many hubs as it may', () => ({ 'x-federation-hops': '3' })],
  ['came by this node already', () => ({ 'x-federation-hops': '1', 'x-federation-via': chain.links[0]!.nodeId })],
])('a request that %s goes to no model server of its own node', async (_, headers) => {
  const before = upstream.requests.length;
  const response = await answerOf(start(chain.own, { headers: headers() }));
  expect(response.headers['x-should-retry']).toBe('false');
  expect({ status: response.statusCode, text: (await readAll(response)).text }).toEqual({
    status: 508,
    text: expect.stringContaining('federation_loop_detected'),
  });
  expect(upstream.requests).toHaveLength(before);
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelChain } from '../support/model-chain.ts';
import type { ModelChain } from '../support/model-chain.ts';
import { modelServer } from '../support/model-server.ts';
import type { ModelServer } from '../support/model-server.ts';
import { seenAs, send } from './wire.ts';
import { ANSWERED } from './wire-answered.ts';
import { ASKED } from './wire-asked.ts';

const WIRE_CASES = [...ASKED, ...ANSWERED];

let upstream: ModelServer;
let chain: ModelChain;

beforeAll(async () => {
  upstream = await modelServer();
  chain = await modelChain([{ baseUrl: upstream.baseUrl, models: [{ id: 'echo' }, { id: 'alias', name: 'echo' }] }]);
});
afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

test('there are at least sixty cases', () => {
  expect(new Set(WIRE_CASES.map(({ name }) => name)).size).toBeGreaterThanOrEqual(60);
});

describe.each(WIRE_CASES)('$name', (wire) => {
  test('is the same for both ends by one proxy, by two and by three as without any', async () => {
    upstream.otherwise = (request, response) => wire.reply(response, request);
    const straight = await send(upstream.port, 'sk-direct', wire);
    const seen = seenAs(upstream.requests.at(-1)!);
    for (const way of ['own', 'hub', 'far'] as const) {
      const got = await send(chain[way].port, chain[way].key, wire);
      expect({ way, ...got }).toEqual({ way, ...straight });
      expect({ way, ...seenAs(upstream.requests.at(-1)!) }).toEqual({ way, ...seen });
    }
  });
});

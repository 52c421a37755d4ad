import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { answerOf, CHAT, readAll, start } from './client.ts';
import { echoChain } from './echo-chain.ts';
import type { EchoChain } from './echo-chain.ts';

let { upstream, chain, stop } = {} as EchoChain;
beforeEach(async () => void ({ upstream, chain, stop } = await echoChain()));
afterEach(() => stop());

async function asked(headers: Readonly<Record<string, string>> = {}) {
  const { text } = await readAll(await answerOf(start(chain.hub, { headers })));
  await eventually('it is in the book', () => chain.records.length === 1);
  return text;
}

test('an answer that does not tell what it took is counted by what passed', async () => {
  upstream.otherwise = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'.repeat(40));
  };
  await asked();
  expect(chain.records[0]).toMatchObject({ tokens: null, guessed: Math.ceil(CHAT.length / 4) + 40 });
});

test('who had to wait is told where in the line that was', async () => {
  chain.position = 7;
  const response = await answerOf(start(chain.hub));
  await readAll(response);
  expect(response.headers['server-timing']).toMatch(/^federation;dur=[\d.]+, queue;dur=0\.00;desc="7"$/);
});

test('an upstream that counts what can’t be is not believed', async () => {
  upstream.otherwise = (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end('{"usage":{"prompt_tokens":9007199254740991,"completion_tokens":9007199254740991}}');
  };
  await asked();
  const { input, output } = chain.records[0]!.tokens!;
  expect(input + output).toBe(CHAT.length + (2 << 20));
});

test.each([
  [true, 'identity'],
  [false, 'gzip, br'],
])('where tokens count (%s), what is asked for is %s', async (counts, encoding) => {
  chain.countsTokens = counts;
  upstream.otherwise = (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  await asked({ 'accept-encoding': 'gzip, br' });
  expect(upstream.requests[0]!.headers['accept-encoding']).toBe(encoding);
});

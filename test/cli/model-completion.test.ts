import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { HubApi } from '#src/adapters/hub.ts';
import { hubThrough } from '#src/adapters/hub-api.ts';
import { complete } from '#src/cli/manage/models/completion.ts';
import { FederationError } from '#src/core/errors.ts';

async function hubThat(answers: RequestListener): Promise<HubApi> {
  const server = createServer(answers);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return hubThrough(
    async () => ({ to: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, headers: {} }),
    async () => new FederationError('HUB_UNREACHABLE', 'the hub does not answer'),
  );
}

const ASK = { model: 'm', api: 'openai', messages: [], maxTokens: null } as const;
const { signal } = new AbortController();
const ask = (hub: HubApi, until = signal) => complete(hub, ASK, () => undefined, until);

test('words of a model are an answer, also those of no tokens', async () => {
  const hub = await hubThat((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
    response.end('data: {"choices":[{"delta":{"content":""}}]}\n\ndata: [DONE]\n\n');
  });
  expect(await ask(hub)).toMatchObject({ text: '', tokens: null, attempts: 1 });
});

test.each([
  ['text/html', '<b>sign in</b>', 'the model server answers text/html in the place of a stream of events'],
  ['application/json', '{}', 'the model server answers application/json in the place of a stream of events'],
  ['text/event-stream', '', 'the model server answers without a word of a model'],
  ['text/event-stream', 'data: [DONE]\n\n', 'the model server answers without a word of a model'],
  ['text/event-stream', ': ping\n\ndata: {"detail":"x"}\n\n', 'the model server answers without a word of a model'],
])('%s with %j is none', async (type, body, message) => {
  const hub = await hubThat((_, response) => response.writeHead(200, { 'content-type': type }).end(body));
  await expect(ask(hub)).rejects.toMatchObject({ code: 'UPSTREAM_FAILED', message });
});

test('of an endless refusal no more is read than it takes to say it', async () => {
  const hub = await hubThat((_, response) => {
    response.writeHead(500);
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.on('drain', more);
    more();
  });
  await expect(ask(hub)).rejects.toMatchObject({ message: 'the model server answers 500 (500)' });
});

test.each([
  ['before it begins', () => undefined],
  ['in the middle', (response: { flushHeaders(): void }) => response.flushHeaders()],
])('whoever waits no longer is told why (%s)', async (_, begin) => {
  const stopping = new AbortController();
  const hub = await hubThat((_request, response) => {
    response.setHeader('content-type', 'text/event-stream');
    begin(response);
    stopping.abort(new FederationError('UPSTREAM_FAILED', 'too late'));
  });
  await expect(ask(hub, stopping.signal)).rejects.toMatchObject({ message: 'too late' });
});

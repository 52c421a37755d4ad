import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { workerCalls } from '#src/hub/handoffs/worker-calls.ts';
import type { Link } from '#src/link/accept.ts';
import type { HandoffOrder, HandoffStanding } from '#src/protocol/handoffs.ts';
import type { Handoffs } from '#src/worker/handoffs/handoffs.ts';
import type { Messages } from '#src/worker/handoffs/messages.ts';
import { createHandoffServing } from '#src/worker/handoffs/serve.ts';

const id = '01J00000000000000000000000';
const STANDING: HandoffStanding = { id, attempt: 1, state: 'waiting', position: 1, seq: 0 };
const ORDER: HandoffOrder = {
  ...{ id, attempt: 1, agent: 'main', task: 'count', context: '', files: [], hops: 0 },
  ...{ asker: { kind: 'operator', name: 'ann' }, leftMs: null, queueTimeoutMs: 60_000, idleTimeoutMs: 60_000 },
};

/** The hub's end of a link whose other end answers as a worker's daemon does. */
async function linkTo(handoffs: Partial<Handoffs>, messages: Partial<Messages>): Promise<Link> {
  const serving = createHandoffServing(handoffs as Handoffs, messages as Messages);
  const server = createServer().listen(0, '127.0.0.1');
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    void serving.serve(String(headers[':method']), String(headers[':path']), stream);
  });
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  return session as unknown as Link;
}

test('the hub understands whatever a worker answers that it does', async () => {
  const link = await linkTo(
    { accept: async () => STANDING, cancel: () => ({ ...STANDING, state: 'cancelled' }) },
    { deliver: async () => ({ agent: 'main', replayed: false }) },
  );
  expect(await workerCalls.order(link, ORDER)).toEqual(STANDING);
  expect(await workerCalls.cancel(link, id)).toEqual({ ...STANDING, state: 'cancelled' });
  const asker = { kind: 'operator', name: 'ann' } as const;
  expect(await workerCalls.deliver(link, { id, agent: null, asker, message: 'hello' })).toEqual({
    agent: 'main',
    replayed: false,
  });
});

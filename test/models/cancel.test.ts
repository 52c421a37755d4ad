import { once } from 'node:events';
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { answerOf, CHAT, readAll, start } from './client.ts';
import { echoChain } from './echo-chain.ts';
import type { EchoChain } from './echo-chain.ts';

let { upstream, chain, stop } = {} as EchoChain;
beforeEach(async () => void ({ upstream, chain, stop } = await echoChain()));
afterEach(() => stop());

const WAYS = ['own', 'hub', 'far'] as const;

/** A request whose answer has begun and does not end. */
async function midStream(way: (typeof WAYS)[number]) {
  upstream.otherwise = (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
  };
  const asking = start(chain[way]);
  const response = await answerOf(asking);
  await once(response, 'data');
  return { asking, response };
}

describe.each(WAYS)('by the way %s', (way) => {
  test('a client that goes before the first byte ends the request at the upstream', async () => {
    upstream.otherwise = () => undefined;
    const asking = start(chain[way]);
    await eventually('the upstream is asked', () => upstream.requests.length === 1);
    asking.destroy();
    await upstream.untilAborted(1);
    await untilTold(way, 1);
    expect(chain.ends.map(({ failure }) => failure)).toEqual(way === 'own' ? [] : ['cancelled']);
    expect(chain.records.map(({ aborted, status, attempts }) => ({ aborted, status, attempts }))).toEqual(
      way === 'own' ? [] : [{ aborted: true, status: null, attempts: 1 }],
    );
  });

  test('a client that goes in the middle of a stream ends it at the upstream', async () => {
    const { asking } = await midStream(way);
    asking.destroy();
    await upstream.untilAborted(1);
    await untilTold(way, 1);
    expect(chain.ends.map(({ failure }) => failure)).toEqual(way === 'own' ? [] : ['cancelled']);
    expect(chain.records.map(({ aborted, status }) => ({ aborted, status }))).toEqual(
      way === 'own' ? [] : [{ aborted: true, status: 200 }],
    );
  });

  test('a client whose machine is gone is one that went', async () => {
    const { response } = await midStream(way);
    response.socket.resetAndDestroy();
    await upstream.untilAborted(1);
    expect(upstream.requests).toHaveLength(1);
  });

  test('a request whose body breaks off is never sent on', async () => {
    const { port, key } = chain[way];
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${key}\r\nContent-Length: 500\r\n\r\n${CHAT}`,
    );
    await once(socket, 'connect');
    socket.resetAndDestroy();
    await readAll(await answerOf(start(chain[way])));
    expect(upstream.requests).toHaveLength(1);
    expect(chain.records.length).toBe(way === 'own' ? 0 : 1);
  });

  test('a reader that stops reading holds little, and holds up nobody else', { timeout: 120_000 }, async () => {
    let written = 0;
    const piece = Buffer.alloc(65_536, 'x');
    upstream.next((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const more = (): void => {
        while (written < 96 << 20) {
          written += piece.length;
          if (!response.write(piece)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    const before = memory();
    const asking = start(chain[way]);
    const response = await answerOf(asking);
    response.pause();
    await settled(() => written);
    // What is written is for the most part in the sockets of the machine, some megabytes each.
    expect(written).toBeLessThan(64 << 20);
    // Node gives what a collection found back by and by, on a thread of its own.
    await eventually('little is held of it', () => memory() - before < 10 << 20);
    const other = await readAll(await answerOf(start(chain[way])));
    expect(other).toMatchObject({ isWhole: true });
    let read = 0;
    response.on('data', (chunk: Buffer) => (read += chunk.length));
    response.resume();
    await once(response, 'end');
    expect(read).toBe(96 << 20);
  });
});

test.each(['hub', 'far'] as const)('a client that goes while it waits its turn leaves the queue (%s)', async (way) => {
  const waiting = Promise.withResolvers<AbortSignal>();
  chain.choose = async (_ask, _excluded, signal) => {
    waiting.resolve(signal);
    await once(signal, 'abort');
    throw signal.reason;
  };
  const asking = start(chain[way]);
  const signal = await waiting.promise;
  asking.destroy();
  await eventually('it left', () => signal.aborted);
  await eventually('it is in the book', () => chain.records.length === 1);
  expect(chain.records[0]).toMatchObject({ aborted: true, attempts: 0, node: null, status: null });
  expect(upstream.requests).toHaveLength(0);
});

/** Resolves when the hub has heard of so many requests, where they went by it. */
async function untilTold(way: (typeof WAYS)[number], count: number): Promise<void> {
  if (way === 'own') return;
  await eventually('the router knows', () => chain.ends.length === count);
  await eventually('it is in the book', () => chain.records.length === count);
}

/** Resolves when a number has stood still for some time. */
async function settled(value: () => number): Promise<void> {
  let last = -1;
  let still = 0;
  await eventually('nothing moves any more', () => {
    still = value() === last ? still + 1 : 0;
    last = value();
    return still > 20;
  });
}

/** Bytes of buffers that are in use in this process. */
function memory(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().arrayBuffers;
}

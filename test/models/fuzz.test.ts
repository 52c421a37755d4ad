import { Agent, request } from 'node:http';
import { expect, test } from 'vitest';
import { modelChain } from '../support/model-chain.ts';
import type { Entrance } from '../support/model-chain.ts';
import { modelServer } from '../support/model-server.ts';
import { randomNumbers } from '../support/random.ts';

/** A stream with all that events may hold, of which each byte is a place to cut it. */
const EVENTS = Buffer.from(
  'id: 1\r\ndata: {"a":"é😀"}\r\n\r\n: ping\n\nevent: x\rdata: 1\r\rdata:\ndata: [DONE]\n\n\u2028data: "\\n"\n\n',
);

type Cut = readonly Buffer[];

/** At every byte in two, every pair of neighbours in three, byte by byte, and then at random. */
function* cuts(count: number): Generator<Cut> {
  for (let at = 0; at <= EVENTS.length; at++) yield [EVENTS.subarray(0, at), EVENTS.subarray(at)];
  for (let at = 1; at < EVENTS.length; at++) {
    yield [EVENTS.subarray(0, at), EVENTS.subarray(at, at + 1), EVENTS.subarray(at + 1)];
  }
  yield Array.from(EVENTS, (_, at) => EVENTS.subarray(at, at + 1));
  const random = randomNumbers(3);
  for (let made = 2 * EVENTS.length + 2; made < count; made++) {
    const pieces: Buffer[] = [];
    for (let at = 0; at < EVENTS.length;) {
      const size = 1 + Math.floor(random() * (random() < 0.5 ? 3 : 40));
      pieces.push(EVENTS.subarray(at, at + size));
      at += size;
    }
    yield pieces;
  }
}

test('ten thousand streams come as they were sent, wherever they are cut', { timeout: 300_000 }, async () => {
  await using upstream = await modelServer();
  await using chain = await modelChain([{ baseUrl: upstream.baseUrl, models: [{ id: 'echo' }] }]);
  const all = [...cuts(10_000)];
  upstream.otherwise = async (seen, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of all[Number(seen.headers['x-case'])]!) {
      if (piece.length > 0) await new Promise<void>((resolve) => void response.write(piece, () => resolve()));
    }
    response.end();
  };
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  const ways = [chain.own, chain.hub, chain.far];
  let next = 0;
  const different: number[] = [];
  await Promise.all(
    Array.from({ length: 48 }, async () => {
      for (let at = next++; at < all.length; at = next++) {
        const got = await bytesOf(ways[at % 3]!, agent, at);
        if (!got.equals(EVENTS)) different.push(at);
      }
    }),
  );
  agent.destroy();
  expect(different).toEqual([]);
});

test('events of a megabyte come as they were sent, in pieces of any size', { timeout: 120_000 }, async () => {
  await using upstream = await modelServer();
  await using chain = await modelChain([{ baseUrl: upstream.baseUrl, models: [{ id: 'echo' }] }]);
  const event = Buffer.from(`data: "${'é😀\\n'.repeat(140_000)}"\n\ndata: [DONE]\n\n`);
  const agent = new Agent();
  for (const size of [1021, 16_384, 65_537, event.length]) {
    upstream.otherwise = async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let at = 0; at < event.length; at += size) {
        const piece = event.subarray(at, at + size);
        await new Promise<void>((resolve) => void response.write(piece, () => resolve()));
      }
      response.end();
    };
    for (const way of [chain.own, chain.hub, chain.far]) {
      expect((await bytesOf(way, agent, size)).equals(event)).toBe(true);
    }
  }
  expect(event.length).toBeGreaterThan(1 << 20);
});

function bytesOf({ port, key }: Entrance, agent: Agent, at: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const body = '{"model":"echo","stream":true}';
  const headers = { authorization: `Bearer ${key}`, 'content-length': body.length, 'x-case': String(at) };
  const asking = request({ host: '127.0.0.1', port, path: '/v1/chat/completions', method: 'POST', agent, headers });
  asking.on('error', reject);
  asking.on('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve(Buffer.concat(chunks)));
  });
  asking.end(body);
  return promise;
}

import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Receiver, Sending } from '#src/core/models/sending.ts';
import { createSender } from '#src/adapters/models/upstream.ts';
import { modelServer } from '../../support/model-server.ts';

afterEach(() => void vi.useRealTimers());

const TIMEOUTS = { connectMs: 5000, firstByteMs: 5000, idleMs: 5000, totalMs: null };

test('whoever takes no more is not the server’s silence, which counts again from then on', async () => {
  await using server = await modelServer();
  let answering: ServerResponse | undefined;
  server.otherwise = (_, response) => {
    answering = response;
    response.writeHead(200).write('first');
  };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const sender = createSender();
  const heard: string[] = [];
  const receiver: Receiver = {
    head: () => undefined,
    data(chunk) {
      heard.push(chunk.toString());
      if (heard.length === 1) sent.pause();
    },
    end: () => heard.push('end'),
    fail: ({ kind, problem }) => heard.push(`${kind} ${problem}`),
  };
  const sent = sender.send(
    {
      ...{ origin: `http://127.0.0.1:${server.port}`, method: 'POST', path: '/v1/x', headers: [], body: null },
      ...{ length: null, timeouts: TIMEOUTS },
    },
    receiver,
  );
  await vi.waitFor(() => expect(heard).toEqual(['first']));
  vi.advanceTimersByTime(600_000);
  answering?.write('second');
  vi.advanceTimersByTime(600_000);
  expect(heard).toEqual(['first']);
  sent.resume();
  await vi.waitFor(() => expect(heard).toEqual(['first', 'second']));
  vi.advanceTimersByTime(5001);
  await vi.waitFor(() => expect(heard).toEqual(['first', 'second', 'truncated ETIMEDOUT']));
  await sender.close();
});

/** Nothing else happens in this process meanwhile. */
function beBusy(milliseconds: number): void {
  const until = performance.now() + milliseconds;
  while (performance.now() < until);
}

/** What a request to a port comes to. */
async function outcome({ port }: { readonly port: number }, timeouts: Sending['timeouts']): Promise<string> {
  const sender = createSender();
  const { promise, resolve } = Promise.withResolvers<string>();
  sender.send(
    {
      ...{ origin: `http://127.0.0.1:${port}`, method: 'GET', path: '/v1/x', headers: [], body: null },
      ...{ length: null, timeouts },
    },
    {
      head: (status) => resolve(`status ${status}`),
      data: () => undefined,
      end: () => undefined,
      fail: ({ kind, problem }) => resolve(`${kind} ${problem}`),
    },
  );
  const heard = await promise;
  await sender.close();
  return heard;
}

/** Listens, and then does nothing for ever: what connects waits in the queue of the system. */
const DEAF = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
  });
`;

test('a server that takes no connection is given up when its time to do so is over', async () => {
  const deaf = new Worker(DEAF, { eval: true });
  const [port] = (await once(deaf, 'message')) as [number];
  const waiting: Socket[] = [];
  onTestFinished(async () => {
    for (const socket of waiting) socket.destroy();
    await deaf.terminate();
  });
  // As many as the queue has room for: the next one is not answered at all.
  for (let isTaken = true; isTaken && waiting.length < 64;) {
    const socket = connect(port, '127.0.0.1');
    waiting.push(socket);
    isTaken = await Promise.race([once(socket, 'connect').then(() => true), pause(1000, false)]);
  }
  expect(waiting.length).toBeLessThan(64);
  expect(await outcome({ port }, { ...TIMEOUTS, connectMs: 200 })).toBe('connect ETIMEDOUT');
});

test('what takes longer than all of it may is given up, however patient each part is', async () => {
  await using server = await modelServer();
  server.otherwise = () => undefined;
  expect(await outcome(server, { ...TIMEOUTS, firstByteMs: 600_000, totalMs: 200 })).toBe('first-byte ETIMEDOUT');
});

describe('whoever is too busy to look in time', () => {
  test('finds the connection that was made meanwhile', async () => {
    await using server = await modelServer();
    server.otherwise = (_, response) => void response.end();
    const heard = outcome(server, { ...TIMEOUTS, connectMs: 200 });
    // The connection is begun by now, and nobody has looked what became of it.
    for (let turn = 0; turn < 20; turn += 1) await new Promise<void>((resolve) => process.nextTick(resolve));
    beBusy(300);
    expect(await heard).toBe('status 200');
  });

  test('finds the answer that came meanwhile', async () => {
    await using server = await modelServer();
    server.otherwise = (_, response) => {
      response.writeHead(200, { 'content-length': '2' });
      response.end('ok');
      beBusy(1100);
    };
    expect(await outcome(server, { ...TIMEOUTS, firstByteMs: 1000 })).toBe('status 200');
  });

  test('still says of one that says nothing that it is late', async () => {
    await using server = await modelServer();
    server.otherwise = () => beBusy(1100);
    expect(await outcome(server, { ...TIMEOUTS, firstByteMs: 1000 })).toBe('first-byte ETIMEDOUT');
  });
});

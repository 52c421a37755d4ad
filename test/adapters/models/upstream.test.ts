import type { ServerResponse } from 'node:http';
import { afterEach, expect, test, vi } from 'vitest';
import type { Receiver } from '#src/core/models/sending.ts';
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
  expect(heard).toEqual(['first', 'second', 'truncated ETIMEDOUT']);
  await sender.close();
});

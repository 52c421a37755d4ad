import { createServer, request } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { Answer } from '#src/link/models/answer.ts';
import { answerTo } from '#src/link/models/answer.ts';

afterEach(() => void vi.useRealTimers());

test('a client that leaves its answer unread is one that went', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const heard: string[] = [];
  let answer: Answer | undefined;
  const server = createServer((_, response: ServerResponse) => {
    answer = answerTo(
      response,
      () => heard.push('drain'),
      () => heard.push('gone'),
    );
    answer.head(200, undefined, []);
  });
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await vi.waitFor(() => expect(server.listening).toBe(true));
  const asking = request({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  asking.on('error', () => undefined).end();
  // Nobody listens to its data, so nothing of it is read.
  asking.on('response', (response) => response.on('error', () => undefined));
  await vi.waitFor(() => expect(answer).toBeDefined());
  expect(answer!.data(Buffer.alloc(64 << 20))).toBe(false);
  vi.advanceTimersByTime(299_000);
  expect(heard).toEqual([]);
  vi.advanceTimersByTime(2000);
  await vi.waitFor(() => expect(heard).toEqual(['gone']));
  asking.destroy();
});

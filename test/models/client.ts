import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Entrance } from '../support/model-chain.ts';

export interface Asking {
  readonly body?: string | Buffer;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const CHAT = '{"model":"echo","messages":[{"role":"user","content":"hi"}],"stream":true}';

/** A request that was sent, whose answer nobody reads yet. */
export function start(
  { port, key }: Entrance,
  { body = CHAT, path = '/v1/chat/completions', method = 'POST', headers }: Asking = {},
) {
  const asking = request({
    ...{ host: '127.0.0.1', port, path, method, agent: false },
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...headers,
    },
  });
  asking.on('error', () => undefined);
  asking.end(body);
  return asking;
}

export async function answerOf(asking: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

/** All that came, and whether it was whole. */
export async function readAll(
  response: IncomingMessage,
): Promise<{ readonly text: string; readonly isWhole: boolean }> {
  const chunks: Buffer[] = [];
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (!response.closed) await new Promise((resolve) => response.once('close', resolve));
  return { text: Buffer.concat(chunks).toString('utf8'), isWhole: response.complete };
}

/** So many times, so many at once. */
export async function inTurns(times: number, atOnce: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < times) await work(next++);
    }),
  );
}

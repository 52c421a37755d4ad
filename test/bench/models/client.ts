import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { httpReader } from './http-reader.ts';

/** Where requests are sent, and what they prove themselves by. */
export interface Way {
  readonly port: number;
  /** Header lines, each with its end. */
  readonly headers: string;
}

/** Milliseconds from the last byte of the request. */
export interface Took {
  readonly firstByteMs: number;
  readonly totalMs: number;
  readonly text: string;
}

/** One connection, on which requests follow one another. */
export interface Connection {
  ask(body: string, onBody?: (part: Buffer) => void): Promise<Took>;
  close(): void;
}

export async function connectTo({ port, headers }: Way): Promise<Connection> {
  const socket: Socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    `host: 127.0.0.1:${port}`,
    'content-type: application/json',
    `user-agent: bench\r\n${headers}`,
  ].join('\r\n');
  let waiting: { readonly end: (text: string) => void; readonly fail: (error: Error) => void } | null = null;
  let onPart: (part: Buffer) => void = () => undefined;
  const reader = httpReader({ onBody: (part) => onPart(part), onEnd: (text) => waiting?.end(text) });
  socket.on('data', (chunk) => reader.push(chunk));
  socket.on('error', (error) => waiting?.fail(error));
  socket.on('close', () => waiting?.fail(new Error('the connection broke off')));

  return {
    ask(body, onBody) {
      const { promise, resolve, reject } = Promise.withResolvers<Took>();
      let firstByteMs = 0;
      const startedAt = performance.now();
      onPart = (part) => {
        firstByteMs ||= performance.now() - startedAt;
        onBody?.(part);
      };
      waiting = {
        end(text) {
          waiting = null;
          if (!text.startsWith('HTTP/1.1 200 ')) return reject(new Error(text.slice(0, 1000)));
          resolve({ firstByteMs, totalMs: performance.now() - startedAt, text });
        },
        fail: reject,
      };
      socket.write(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      return promise;
    },
    close: () => socket.destroy(),
  };
}

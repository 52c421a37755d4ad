import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { httpReader } from '../models/http-reader.ts';

/**
 *     model-upstream.ts
 *
 * A model server that costs next to nothing, on a socket of its own. It answers at once with some 860 bytes; to a body
 * that says `[[chunks COUNT MS]]` with so many events, one every so many milliseconds, each with the moment at which it
 * left. It prints its port.
 */
const WORDS = 'word '.repeat(120);
const ANSWER = JSON.stringify({
  ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'echo' },
  choices: [{ index: 0, message: { role: 'assistant', content: WORDS }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 12, completion_tokens: 120, total_tokens: 132 },
});
const WHOLE = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${ANSWER.length}\r\n\r\n${ANSWER}`,
);
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  const reader = httpReader({
    onEnd(text) {
      const order = /\[\[chunks (\d+) (\d+)\]\]/.exec(text);
      if (order === null) socket.write(WHOLE);
      else void stream(socket, Number(order[1]), Number(order[2]));
    },
  });
  socket.on('data', (chunk) => reader.push(chunk));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit());

async function stream(socket: Socket, count: number, everyMs: number): Promise<void> {
  socket.write(HEAD);
  const startedAt = performance.now();
  for (let at = 0; at < count; at++) {
    if (everyMs > 0) await pause(Math.max(0, startedAt + at * everyMs - performance.now()));
    if (socket.destroyed) return;
    const event = `data: ${JSON.stringify({
      ...{ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'echo' },
      choices: [{ index: 0, delta: { content: 'word ' }, finish_reason: null, logprobs: null }],
      left: String(process.hrtime.bigint()),
    })}\n\n`;
    socket.write(`${event.length.toString(16)}\r\n${event}\r\n`);
  }
  socket.write('e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n');
}

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { hurryBody } from '#src/hub/api/body.ts';
import { until } from '../support/link.ts';

async function startServer(): Promise<{ dial(head: string): Promise<Socket> }> {
  const server = createServer((request) => {
    hurryBody(request, 20);
    request.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    async dial(head) {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(`${head}\r\nHost: hub\r\nContent-Length: 10\r\n\r\nhalf`);
      return socket;
    },
  };
}

test('a client that takes its time with a body is let go, and one that sends a process’s input is not', async () => {
  const server = await startServer();
  const input = await server.dial(`PUT /api/v1/jobs/${'0'.repeat(26)}/stdin HTTP/1.1`);
  const slow = await server.dial('POST /api/v1/tokens HTTP/1.1');
  const slower = await server.dial('GET /health HTTP/1.1');
  await until('both are let go', () => slow.destroyed && slower.destroyed);
  expect(input.destroyed).toBe(false);
});

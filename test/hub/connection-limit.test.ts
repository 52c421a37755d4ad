import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { limitConnections } from '#src/hub/listening/connection-limit.ts';

const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

async function listen(limits?: Parameters<typeof limitConnections>[1]): Promise<number> {
  const server = createServer();
  limitConnections(server, limits);
  server.on('connection', (socket) => {
    ends.push(() => socket.destroy());
    socket.on('error', () => undefined);
    if (!socket.destroyed) socket.write('hello');
  });
  ends.push(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Whether it is let in. */
async function knock(port: number): Promise<{ socket: Socket; isIn: boolean }> {
  const socket = connect(port, '127.0.0.1');
  ends.push(() => socket.destroy());
  socket.on('error', () => undefined);
  const isIn = await Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)]);
  return { socket, isIn };
}

test('all together have a limit', async () => {
  const port = await listen({ perAddress: 1, total: 3, isShared: () => true });
  for (const isIn of [true, true, true, false]) expect((await knock(port)).isIn).toBe(isIn);
});

test('one address takes no more than its share, and has it back', async () => {
  const port = await listen({ perAddress: 2, total: 100, isShared: () => false });
  const first = await knock(port);
  for (const isIn of [true, false]) expect((await knock(port)).isIn).toBe(isIn);
  first.socket.destroy();
  await expect.poll(async () => (await knock(port)).isIn).toBe(true);
});

test('programs of this machine share one address and have no share of it', async () => {
  const port = await listen();
  for (let count = 0; count < 300; count++) expect((await knock(port)).isIn).toBe(true);
});

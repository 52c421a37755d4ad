import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { peerOwner } from '#src/adapters/peer-owner.ts';

const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

async function heard(port: number, host: string): Promise<Socket> {
  const socket = connect(port, host);
  ends.push(() => socket.destroy());
  await once(socket, 'data');
  return socket;
}

test.each(['127.0.0.1', '::1'])('the other end at %s is known by its user', async (host) => {
  const server = createServer((socket) => socket.write('hello'));
  ends.push(() => server.close());
  server.listen(0, host);
  await once(server, 'listening');
  const socket = await heard((server.address() as AddressInfo).port, host);
  expect(await peerOwner(socket)).toBe(process.getuid?.());
});

test('one that listens for both kinds of addresses is known too', async () => {
  const server = createServer((socket) => socket.write('hello'));
  ends.push(() => server.close());
  server.listen({ port: 0, host: '::ffff:127.0.0.1' });
  await once(server, 'listening');
  const socket = await heard((server.address() as AddressInfo).port, '127.0.0.1');
  expect(await peerOwner(socket)).toBe(process.getuid?.());
});

const UID = process.getuid?.() === 0 ? 4242 : null;

test('another user is not taken for us', async () => {
  const script = `require('net').createServer((s) => s.write('hello')).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`;
  const child = spawn(process.execPath, ['-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: '/',
    ...(UID === null ? {} : { uid: UID, gid: UID }),
  });
  ends.push(() => child.kill());
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  expect(await peerOwner(await heard(Number(port), '127.0.0.1'))).toBe(UID ?? process.getuid?.());
});

import { once } from 'node:events';
import { chown, mkdtemp, open, rm } from 'node:fs/promises';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownerOf, unixSocketOf } from '#src/adapters/unix-socket.ts';

const isRoot = process.getuid?.() === 0;

let folder: string;
let servers: Server[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'federation-socket-'));
  servers = [];
});

afterEach(async () => {
  for (const server of servers) server.close();
  await rm(folder, { recursive: true });
});

/** Listens, and returns the descriptor. */
async function listen(...where: [string] | [number, string]): Promise<number> {
  const server = createServer();
  servers.push(server);
  server.listen(...(where as [string]));
  await once(server, 'listening');
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

test.each(['operator.sock', 'with a space', `'quotes' "too"`, 'ünï'])(
  'a socket is known by its path %s',
  async (name) => {
    const path = join(folder, name);
    await listen(join(folder, 'another'));
    expect(await unixSocketOf(await listen(path))).toEqual({ path, owner: userInfo().username });
  },
);

test('what is no unix socket with a path is refused', async () => {
  const file = await open(join(folder, 'file'), 'w');
  const descriptors = [await listen(0, '127.0.0.1'), await listen(`\0abstract-${process.pid}`), file.fd, 99_999];
  for (const descriptor of descriptors) {
    await expect(unixSocketOf(descriptor)).rejects.toMatchObject({ code: 'START_FAILED' });
  }
  await file.close();
});

test('a file of somebody else bears their name', async () => {
  expect(await ownerOf('/')).toBe('root');
});

test('a user whom nobody knows has a number', async () => {
  if (isRoot) await chown(folder, 4_242_424, 4_242_424);
  expect(await ownerOf(folder)).toBe(isRoot ? 'uid 4242424' : userInfo().username);
});

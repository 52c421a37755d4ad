import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { hubThrough } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';

async function hubHere() {
  const server = createServer((request, response) => request.resume().on('end', () => response.end('{}')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return hubThrough(
    async () => ({ to: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, headers: {} }),
    async () => new FederationError('HUB_UNREACHABLE', 'the hub does not answer'),
  );
}

test('what can’t be read when it is sent is said so, and nobody else is blamed', async () => {
  const hub = await hubHere();
  const { signal } = new AbortController();
  const gone = () => createReadStream('/nowhere/at/all');
  const expected = { code: 'USAGE', message: 'what is to be sent can’t be read (ENOENT)' };
  await expect(hub.put('/x', { size: 10, stream: gone() }, signal)).rejects.toMatchObject(expected);
  await expect(hub.send('/x', gone(), signal)).rejects.toMatchObject(expected);
});

test('what became shorter since it was announced is not waited for', async () => {
  const hub = await hubHere();
  const { signal } = new AbortController();
  const stream = Readable.from([Buffer.from('half')]);
  await expect(hub.put('/x', { size: 8, stream }, signal)).rejects.toMatchObject({
    code: 'USAGE',
    message: 'it became shorter while it was sent',
  });
  expect(await hub.put('/x', { size: 4, stream: Readable.from([Buffer.from('full')]) }, signal)).toEqual({});
});

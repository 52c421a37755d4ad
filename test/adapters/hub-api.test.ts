import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { hubThrough } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';

test('what can’t be read when it is sent is said so, and nobody else is blamed', async () => {
  const server = createServer((request, response) => request.resume().on('end', () => response.end('{}')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const hub = hubThrough(
    async () => ({ to: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, headers: {} }),
    async () => new FederationError('HUB_UNREACHABLE', 'the hub does not answer'),
  );
  const { signal } = new AbortController();
  const gone = () => createReadStream('/nowhere/at/all');
  const expected = { code: 'USAGE', message: 'what is to be sent can’t be read (ENOENT)' };
  await expect(hub.put('/x', { size: 10, stream: gone() }, signal)).rejects.toMatchObject(expected);
  await expect(hub.send('/x', gone(), signal)).rejects.toMatchObject(expected);
});

import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { openHandoffDoor } from '#src/worker/handoffs/door.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { ask } from '../../support/http.ts';

const PARENT = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const log = createLog({ level: 'error', module: 'test', write: () => undefined });

/** A door, and a hub behind it that says back what it was asked. */
async function aDoor(session?: null) {
  const folder = mkdtempSync(join(tmpdir(), 'ocf-door-'));
  const hub = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ method, url, by: headers.authorization, body: Buffer.concat(chunks).toString() }));
    });
  });
  hub.listen(0, '127.0.0.1');
  await once(hub, 'listening');
  const { port } = hub.address() as AddressInfo;
  const now: HubSession = { address: '127.0.0.1', credential: 'good', link: 1, lost: new AbortController().signal };
  const path = join(folder, 'handoffs.sock');
  const close = await openHandoffDoor({
    ...{ path, hub: { host: 'hub.test', port }, log },
    session: () => (session === null ? null : now),
    isWorking: (id) => id === PARENT,
  });
  return {
    path,
    send: (method: string, url: string, body?: object) =>
      ask({ socketPath: path, method, path: url }, body === undefined ? undefined : JSON.stringify(body)),
    async [Symbol.asyncDispose]() {
      await close();
      hub.closeAllConnections();
      hub.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

it('a part of what is worked on here goes to the hub with this node’s credential', async () => {
  await using door = await aDoor();
  expect(statSync(door.path).mode & 0o777).toBe(0o600);
  const order = { parent: PARENT, key: 'k', target: 'w2', task: 'a part' };
  expect(await door.send('POST', '/handoffs', order)).toMatchObject({
    status: 201,
    json: { method: 'POST', url: '/api/v1/node/handoffs', by: 'Bearer good', body: JSON.stringify(order) },
  });
  expect(await door.send('GET', `/handoffs/${PARENT}/events?after=7`)).toMatchObject({
    json: { method: 'GET', url: `/api/v1/node/handoffs/${PARENT}/events?after=7` },
  });
  expect(await door.send('DELETE', `/handoffs/${PARENT}`)).toMatchObject({ json: { method: 'DELETE' } });
});

it.each([
  [{ task: 'no parent' }],
  [{ parent: '01ARZ3NDEKTSV4RRFFQ69G5FAA', task: 'that of another node' }],
  [{ parent: [PARENT], task: 'a list' }],
])('%j is refused', async (order) => {
  await using door = await aDoor();
  expect(await door.send('POST', '/handoffs', order)).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
});

it('nothing else of the hub is reached by it', async () => {
  await using door = await aDoor();
  for (const url of [
    '/nodes',
    '/handoffs/../nodes',
    `/handoffs/${PARENT}/../../nodes`,
    '/messages',
    '/handoffs?limit=1',
  ]) {
    expect(await door.send('GET', url)).toMatchObject({ status: 404 });
  }
  expect(await door.send('PUT', `/handoffs/${PARENT}`)).toMatchObject({ status: 404 });
});

it('without a link it says so', async () => {
  await using door = await aDoor(null);
  expect(await door.send('GET', `/handoffs/${PARENT}`)).toMatchObject({
    status: 503,
    json: { code: 'HUB_UNREACHABLE' },
  });
});

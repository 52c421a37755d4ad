import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import { startCarrier } from '#src/worker/carrier.ts';
import type { LocalCarrier } from '#src/worker/carrier.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { SILENT_LOG } from '../support/member.ts';
import { closeCode, nextFrame, refusal } from '../support/socket.ts';

/** In the hub's place: what comes out at the other end of the worker's carrier. */
let hub: FakeGateway;
let carrier: LocalCarrier;
let credential: string | null;
let stopping: AbortController;
let losing: AbortController;

beforeEach(async () => {
  hub = await fakeGateway();
  credential = 'good';
  stopping = new AbortController();
  losing = new AbortController();
  carrier = await startCarrier(options(0));
});

afterEach(async () => {
  await carrier.close();
  await hub.close();
});

function options(port: number) {
  const at = { host: 'hub.example', port: hub.port };
  const session = () =>
    credential === null ? null : { address: '127.0.0.1', credential, link: 1, lost: losing.signal };
  return { port, hub: at, session, log: SILENT_LOG, signal: stopping.signal };
}

function dial(path = '/', settings: WebSocket.ClientOptions = {}): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${carrier.port}${path}`, settings);
}

test('a node host is carried to the hub with the credential of the link', async () => {
  const node = dial();
  expect(await nextFrame(node)).toContain('connect.challenge');
  expect(hub.requests[0]?.url).toBe(CARRIER_PATH);
  expect(hub.requests[0]?.headers.authorization).toBe('Bearer good');
  expect(hub.requests[0]?.headers.host).toBe(`hub.example:${hub.port}`);
  const answer = nextFrame(node);
  node.send(JSON.stringify({ type: 'req', id: '1', method: 'connect', params: {} }));
  expect(await answer).toContain('hello-ok');
});

test('it is refused while there is no link, and carried as soon as there is one', async () => {
  credential = null;
  expect(await refusal(dial())).toBe(503);
  expect(hub.sockets).toHaveLength(0);
  credential = 'fresh';
  await once(dial(), 'open');
  expect(hub.requests[0]?.headers.authorization).toBe('Bearer fresh');
});

test('a web page, a rebound name and another path do not reach the hub', async () => {
  expect(await refusal(dial('/', { origin: 'http://127.0.0.1' }))).toBe(403);
  expect(await refusal(dial('/', { headers: { host: `evil.example:${carrier.port}` } }))).toBe(421);
  expect(await refusal(dial('/api/v1/exec'))).toBe(404);
  expect(hub.sockets).toHaveLength(0);
});

test('plain HTTP gets nothing', async () => {
  const response = await fetch(`http://127.0.0.1:${carrier.port}/`);
  expect(response.status).toBe(426);
  expect(hub.requests).toHaveLength(0);
});

test('another protocol than WebSocket is not carried', async () => {
  const headers = { connection: 'Upgrade', upgrade: 'h2c' };
  const asked = request({ host: '127.0.0.1', port: carrier.port, path: '/', headers });
  asked.end();
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  expect(response.statusCode).toBe(426);
  expect(hub.sockets).toHaveLength(0);
});

test('a hub that is gone is a bad gateway to the node host', async () => {
  await hub.close();
  expect(await refusal(dial())).toBe(502);
});

test('the end of either passes to the other with its code', async () => {
  const node = dial();
  await nextFrame(node);
  const left = closeCode(node);
  hub.sockets[0]?.close(1012, 'restart');
  expect(await left).toBe(1012);

  const another = dial();
  await nextFrame(another);
  const told = closeCode(hub.sockets[1]!);
  another.close(1000);
  expect(await told).toBe(1000);
});

test('a hub that is lost without a word ends the node host’s connection', async () => {
  const node = dial();
  await nextFrame(node);
  const left = closeCode(node);
  hub.sockets[0]?.terminate();
  expect(await left).toBe(1001);
});

test('a link that is lost ends what is carried beside it, and nothing is carried until there is another', async () => {
  const node = dial();
  await nextFrame(node);
  const left = closeCode(node);
  losing.abort();
  expect(await left).toBe(1006);
  expect(await refusal(dial())).toBe(503);
  losing = new AbortController();
  expect(await nextFrame(dial())).toContain('connect.challenge');
});

test('the signal ends what is open', async () => {
  const node = dial();
  await nextFrame(node);
  const left = closeCode(node);
  stopping.abort();
  expect(await left).toBe(1006);
});

test('a taken port is said so', async () => {
  await expect(startCarrier(options(carrier.port))).rejects.toMatchObject({ code: 'PORT_IN_USE' });
});

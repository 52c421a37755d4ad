import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hubClient } from '#src/worker/hub-client.ts';
import type { HubSession } from '#src/worker/hub-address.ts';

let server: Server;
let stopping: AbortController;
let session: HubSession | null;
let desk: ReturnType<typeof hubClient>;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: { url: string; host: string | undefined; authorization: string | undefined; body: string }[];

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { host, authorization } = request.headers;
      asked.push({ url: `${request.method} ${request.url}`, host, authorization, body });
      answer(request, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stopping = new AbortController();
  session = { address: '127.0.0.1', credential: 'good', link: 1, lost: new AbortController().signal };
  desk = hubClient({ host: 'hub.invalid', port: portOf(server) }, () => session, stopping.signal);
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

function portOf(of: Server): number {
  return (of.address() as AddressInfo).port;
}

test('the hub is asked where the link goes, by its name', async () => {
  answer = (_, response) => void response.end('{"nodeHost":"connected"}');
  expect(await desk.ownNodeHost()).toBe('connected');
  answer = (_, response) => void response.end('{"setupCode":"code","expiresAt":"2026-01-01T00:00:00Z"}');
  expect(await desk.requestSetupCode(19_002)).toBe('code');
  const head = { host: `hub.invalid:${portOf(server)}`, authorization: 'Bearer good' };
  expect(asked).toEqual([
    { url: 'GET /api/v1/node-host', ...head, body: '' },
    { url: 'POST /api/v1/node-host/setup-code', ...head, body: '{"carrierPort":19002}' },
  ]);
});

test('a new key is asked for with what it signed', async () => {
  answer = (_, response) => void response.end(JSON.stringify({ id: 'f'.repeat(64) }));
  await desk.changeKey('key', 'signature');
  expect(asked).toMatchObject([{ url: 'POST /api/v1/node/key', body: '{"publicKey":"key","signature":"signature"}' }]);
});

test('a hub that knows no such question has to be upgraded first', async () => {
  answer = (_, response) => void response.writeHead(404).end('{"code":"NOT_FOUND","message":"there is no such thing"}');
  await expect(desk.changeKey('key', 'signature')).rejects.toMatchObject({
    code: 'VERSION_UNSUPPORTED',
    hint: 'upgrade openclaw-federation on the master',
  });
});

test('nothing is asked without a link', async () => {
  session = null;
  await expect(desk.ownNodeHost()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
  expect(asked).toEqual([]);
});

test('a refusal is the hub’s own', async () => {
  answer = (_, response) => void response.writeHead(403).end('{"code":"FORBIDDEN","message":"this node is no member"}');
  await expect(desk.ownNodeHost()).rejects.toMatchObject({ code: 'FORBIDDEN', message: 'this node is no member' });
});

test.each<[string, (request: IncomingMessage, response: ServerResponse) => void]>([
  ['hangs up', (request) => void request.socket.destroy()],
  [
    'breaks off',
    (request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{');
      setImmediate(() => request.socket.destroy());
    },
  ],
  ['is something else', (_, response) => void response.writeHead(502).end('<html>')],
  ['does not end', (_, response) => void response.end('x'.repeat(2 << 20))],
])('a hub that %s does not answer', async (_, how) => {
  answer = how;
  await expect(desk.ownNodeHost()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
});

test('the signal ends a question, in the middle of its answer too', async () => {
  answer = (_, response) => {
    response.writeHead(200).write('{');
    setImmediate(() => stopping.abort());
  };
  await expect(desk.ownNodeHost()).rejects.toMatchObject({ code: 'HUB_UNREACHABLE' });
});

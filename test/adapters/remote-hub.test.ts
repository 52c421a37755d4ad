import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RemoteConnection } from '#src/adapters/remote-hub.ts';
import { remoteHub } from '#src/adapters/remote-hub.ts';
import { FederationError } from '#src/core/errors.ts';
import { until } from '../support/link.ts';

let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let connections: { lost: AbortController }[];

beforeEach(async () => {
  connections = [];
  server = createServer((request, response) => answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const connected = async (): Promise<RemoteConnection> => {
  const lost = new AbortController();
  connections.push({ lost });
  return { credential: `credential-${connections.length}`, address: '127.0.0.1', lost: lost.signal };
};

/** The name is nobody's: only the address that proved the key is ever dialled. */
const hub = (connect = connected) =>
  remoteHub({ host: 'nowhere.invalid', port: (server.address() as AddressInfo).port }, connect);

test('all requests go by one connection, to its address and with its credential', async () => {
  const seen: object[] = [];
  answer = ({ url, headers: { host, authorization } }, response) => {
    seen.push({ url, host: host?.replace(/\d+$/, 'N'), authorization });
    response.end('{}');
  };
  const api = hub();
  expect(connections).toEqual([]);
  await Promise.all([api.ask('GET', '/a'), api.ask('POST', '/b', {})]);
  const common = { host: 'nowhere.invalid:N', authorization: 'Bearer credential-1' };
  expect(seen).toEqual([
    { url: '/api/v1/a', ...common },
    { url: '/api/v1/b', ...common },
  ]);
});

test('what is under way when the connection is lost fails with the reason, and the next request connects anew', async () => {
  let isAsked = false;
  answer = () => void (isAsked = true);
  const api = hub();
  const asking = Promise.allSettled([api.ask('GET', '/slow')]);
  await until('it is asked', () => isAsked);
  connections[0]!.lost.abort(new FederationError('REVOKED', 'out'));
  expect((await asking)[0]).toMatchObject({ reason: { code: 'REVOKED', message: 'out' } });
  answer = (_, response) => void response.end('{"again":true}');
  expect(await api.ask('GET', '/again')).toEqual({ again: true });
  expect(connections).toHaveLength(2);
});

test('a stream that is cut with its connection is no whole one', async () => {
  answer = (_, response) => void response.write('half');
  const response = await hub().open('GET', '/events', undefined, new AbortController().signal);
  const read = Promise.allSettled([response.toArray()]);
  connections[0]!.lost.abort(new FederationError('HUB_UNREACHABLE', 'lost'));
  expect((await read)[0]?.status).toBe('rejected');
  expect(response.complete).toBe(false);
});

test('a connection that was refused is tried anew, and its reason is said', async () => {
  let tries = 0;
  answer = (_, response) => void response.end('{}');
  const api = hub(async () => {
    tries += 1;
    if (tries === 1) throw new FederationError('UNAUTHENTICATED', 'not yet');
    return connected();
  });
  await expect(api.ask('GET', '/a')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(await api.ask('GET', '/a')).toEqual({});
});

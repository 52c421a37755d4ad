import type { ServerHttp2Stream } from 'node:http2';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import { CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, clientSession, serverSession } from '#src/link/session.ts';
import { expectNoSockets, until } from '../support/link.ts';

beforeEach(() => onTestFinished(expectNoSockets));

/** A link without its handshake, with one stream open on it. */
async function carriers() {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const nodeSocket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [hubSocket] = (await once(server, 'connection')) as [Socket];
  server.close();
  for (const socket of [nodeSocket, hubSocket]) socket.on('error', () => undefined);
  const node = serverSession(nodeSocket);
  const hub = clientSession(hubSocket);
  onTestFinished(() => hub.end(new FederationError('LINK_LOST', 'the test is over')));
  const streams: ServerHttp2Stream[] = [];
  node.session.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    streams.push(stream);
  });
  const request = hub.session.request({ ':method': 'POST', ':path': '/' });
  await once(request, 'response');
  for (const stream of [request, streams[0]!]) stream.on('error', () => undefined);
  return { hub, node, streams: [request, streams[0]!] };
}

test.each(['hub', 'node'] as const)(
  'a socket of the %s that is destroyed without an error ends no stream cleanly',
  async (side) => {
    const link = await carriers();
    const clean: unknown[] = [];
    for (const stream of link.streams) stream.on('end', () => clean.push(stream)).resume();
    const errors = link.streams.map((stream) => new Promise((resolve) => stream.once('error', resolve)));
    link[side].socket.destroy();
    expect(await Promise.all(errors)).toMatchObject([{ code: 'LINK_LOST' }, { code: 'LINK_LOST' }]);
    expect(await link.hub.ended).toMatchObject({ code: 'LINK_LOST' });
    expect(await link.node.ended).toMatchObject({ code: 'LINK_LOST' });
    expect(clean).toEqual([]);
  },
);

test('both ends have the windows that memory is budgeted with', async () => {
  const { hub, node } = await carriers();
  for (const { session } of [hub, node]) {
    const settings = () => [session.localSettings, session.remoteSettings];
    await until('both settings', () => settings().every((one) => one.initialWindowSize === STREAM_WINDOW_BYTES));
    expect(session.state.effectiveLocalWindowSize).toBe(CONNECTION_WINDOW_BYTES);
  }
});

test('the first cause is the one that is told', async () => {
  const { hub } = await carriers();
  const first = new FederationError('REVOKED', 'first');
  hub.end(first);
  hub.end(new FederationError('HUB_STOPPING', 'second'));
  expect(await hub.ended).toBe(first);
});

test('a node does not put words into the hub’s mouth', async () => {
  const { hub, node } = await carriers();
  node.end(new FederationError('REVOKED', 'I say so'));
  expect(await hub.ended).toMatchObject({ code: 'LINK_LOST', message: 'the node closed the link' });
});

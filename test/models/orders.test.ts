import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { answerOf, readAll, start } from './client.ts';
import { echoChain } from './echo-chain.ts';
import type { EchoChain } from './echo-chain.ts';

let { upstream, chain, stop } = {} as EchoChain;
beforeEach(async () => void ({ upstream, chain, stop } = await echoChain()));
afterEach(() => stop());

const ORDERS = {
  'set-cookie': ['a=1', 'b=2'],
  'alt-svc': 'h3="evil.example:443"',
  'www-authenticate': 'Basic realm="your password"',
  refresh: '0; url=http://evil.example',
  'clear-site-data': '"*"',
  'strict-transport-security': 'max-age=31536000',
};

describe.each(['own', 'hub', 'far'] as const)('by the way %s', (way) => {
  test.each([300, 301, 302, 303, 307, 308])('a client is not sent elsewhere (%i)', async (status) => {
    upstream.otherwise = (_, response) => {
      response.writeHead(status, { location: 'http://evil.example/' }).end('there');
    };
    const response = await answerOf(start(chain[way]));
    const { text } = await readAll(response);
    expect(response.statusCode).toBe(502);
    expect(response.headers).not.toHaveProperty('location');
    expect(text).toContain('federation_upstream_failed');
    await eventually('it is in the book', () => way === 'own' || chain.records.length === 1);
    // Whoever asks chooses the path: it must not put the node out of use for others.
    expect(chain.ends.map(({ failure }) => failure)).toEqual(way === 'own' ? [] : ['cancelled']);
  });

  test('what is told to a browser stays behind', async () => {
    upstream.otherwise = (_, response) => {
      response.writeHead(200, { ...ORDERS, 'x-mark': '1' }).end('{}');
    };
    const response = await answerOf(start(chain[way]));
    await readAll(response);
    expect(response.headers).toMatchObject({ 'x-mark': '1' });
    for (const name of Object.keys(ORDERS)) expect(response.headers).not.toHaveProperty(name);
  });
});

test.each(['own', 'hub'] as const)('who asks for a WebSocket at %s does not keep the connection', async (way) => {
  const socket = connect({ port: chain[way].port, host: '127.0.0.1', allowHalfOpen: true });
  let problem: Error | null = null;
  socket.on('error', (error) => (problem = error));
  socket.write(
    'GET /v1/realtime HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  socket.resume();
  await once(socket, 'end');
  // A connection that is only closed on one side would take it.
  await eventually('the other side is gone', () => {
    if (!socket.destroyed) socket.write('x');
    return problem !== null;
  });
  expect(problem).not.toBeNull();
});

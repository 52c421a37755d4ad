import { createServer } from 'node:http';
import type { ClientHttp2Session } from 'node:http2';
import { connect } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createLinks } from 'node:net';

/**
 *     model-floor-hub.ts
 *
 * The least that a hub can be: what comes by HTTP/1.1 goes on by a session of HTTP/2 on a socket that a node opened. It
 * prints the port for nodes, and that for clients.
 */
let session: ClientHttp2Session | null = null;

const links = createLinks({ noDelay: true }, (socket) => {
  session = connect('http://node', { createConnection: () => socket });
});
const server = createServer({ noDelay: true }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const stream = session!.request({
      ':method': 'POST',
      ':path': request.url,
      'content-type': request.headers['content-type'],
      'user-agent': request.headers['user-agent'],
    });
    stream.on('response', (headers) => {
      response.writeHead(Number(headers[':status']), { 'content-type': headers['content-type'] });
    });
    stream.on('data', (chunk: Buffer) => response.write(chunk));
    stream.on('end', () => response.end());
    stream.end(Buffer.concat(chunks));
  });
});
links.listen(0, '127.0.0.1', () => {
  server.listen(0, '127.0.0.1', () => {
    for (const one of [links, server]) process.stdout.write(`${(one.address() as AddressInfo).port}\n`);
  });
});
process.stdin.resume().on('end', () => process.exit());

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dispatcherTo } from '../models/floor.ts';

/**
 *     model-floor.ts PORT
 *
 * The least that a proxy can be, in front of that port: a body is kept whole, sent on by undici, and what comes back is
 * written as it comes. It prints its port.
 */
const send = dispatcherTo(Number(process.argv[2]));

const server = createServer({ noDelay: true }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    send(request.headers, Buffer.concat(chunks), {
      head: (status, headers) => response.writeHead(status, headers),
      data: (chunk) => void response.write(chunk),
      end: () => void response.end(),
      fail: () => void response.destroy(),
    });
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
process.stdin.resume().on('end', () => process.exit());

import { performServerHandshake } from 'node:http2';
import { connect } from 'node:net';
import { dispatcherTo } from '../models/floor.ts';

/**
 *     model-floor-node.ts HUB UPSTREAM
 *
 * The least that a node can be: what comes by a session of HTTP/2 on the socket that it opened goes to the upstream's
 * port. It prints a line when it is there.
 */
const [hub = 0, upstream = 0] = process.argv.slice(2).map(Number);
const send = dispatcherTo(upstream);

const socket = connect({ host: '127.0.0.1', port: hub, noDelay: true }, () => {
  performServerHandshake(socket).on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      send(headers, Buffer.concat(chunks), {
        head: (status, answered) => stream.respond({ ':status': status, ...answered }),
        data: (chunk) => void stream.write(chunk),
        end: () => void stream.end(),
        fail: () => stream.destroy(),
      });
    });
  });
  process.stdout.write('there\n');
});
process.stdin.resume().on('end', () => process.exit());

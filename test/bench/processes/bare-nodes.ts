import { request } from 'node:http';
import { performServerHandshake } from 'node:http2';

/**
 *     bare-nodes.ts PORT COUNT
 *
 * The other ends of the bare hub's links. It prints a line when all are there.
 */
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const sessions = new Set();

for (let left = count; left > 0; left--) {
  const knocking = request({
    host: '127.0.0.1',
    port,
    headers: { Connection: 'Upgrade', Upgrade: 'bare' },
    agent: false,
  });
  knocking.end();
  await new Promise<void>((resolve) => {
    knocking.on('upgrade', (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      const session = performServerHandshake(socket);
      session.on('error', () => undefined);
      sessions.add(session);
      resolve();
    });
  });
}
process.stdout.write('linked\n');
process.stdin.resume().on('end', () => process.exit());

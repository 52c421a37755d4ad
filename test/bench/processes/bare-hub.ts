import { createServer } from 'node:http';
import { connect } from 'node:http2';

/** The links of a hub and nothing else: each upgraded socket is a client session of HTTP/2. It prints its port. */
const sessions = new Set();
const server = createServer();
server.on('upgrade', (_request, socket) => {
  socket.on('error', () => undefined);
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bare\r\n\r\n');
  const session = connect('http://node', { createConnection: () => socket });
  session.on('error', () => undefined);
  sessions.add(session);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`${address.port}\n`);
});
process.stdin.resume().on('end', () => process.exit());

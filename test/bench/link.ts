import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Link } from '#src/link/accept.ts';
import { createAcceptor } from '#src/link/accept.ts';
import { createPrivateKey, keyPair } from '#src/link/key.ts';
import type { Bench } from './bench.ts';

/** The hub's end of links, in this process, that admits whoever proves a key. */
export interface Door {
  readonly port: number;
  /** The first link. */
  readonly link: Promise<Link>;
}

export async function openDoor(bench: Bench): Promise<Door> {
  const { promise: link, resolve, reject } = Promise.withResolvers<Link>();
  link.catch(() => undefined);
  const acceptor = createAcceptor({
    key: keyPair(createPrivateKey()),
    epoch: 1,
    heartbeatMs: 5000,
    admit: async () => ({ link: 1, credential: 'c'.repeat(43) }),
    onLink: resolve,
    onFault: reject,
  });
  const server = createServer();
  server.on('upgrade', (request, socket, head) => acceptor.upgrade(request, socket, head));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  bench.onEnd(async () => {
    await acceptor.close();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, link };
}

import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';

/** A wire between a node and its hub that a test can cut and mend. */
export interface Cable {
  readonly port: number;
  /** Ends every connection that runs over it and lets none through. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

/** `from`: the loopback address that the hub sees. */
export async function layCable(target: () => number, from = '127.0.0.1'): Promise<Cable> {
  const sockets = new Set<Socket>();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return void near.destroy();
    const far = connect({ port: target(), host: '127.0.0.1', localAddress: from });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      whole = false;
      drop();
    },
    mend() {
      whole = true;
    },
    async close() {
      drop();
      await new Promise((closed) => server.close(closed));
    },
  };
}

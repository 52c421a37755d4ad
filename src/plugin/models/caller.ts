import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';

/**
 * Whether it is the worker daemon of this machine that asks. Throws FORBIDDEN for another machine, for a browser and for
 * a name that was made to point here, UNAUTHENTICATED without the key. The gateway itself may listen beyond loopback.
 */
export function checkCaller({ headers, socket }: IncomingMessage, key: string): void {
  if (headers.origin !== undefined || !isLoopback(socket.remoteAddress)) {
    throw new FederationError('FORBIDDEN', 'this is for the worker daemon of this machine alone');
  }
  const hosts = [`127.0.0.1:${socket.localPort}`, `localhost:${socket.localPort}`];
  if (!hosts.includes(headers.host ?? '')) throw new FederationError('FORBIDDEN', 'this port has another name');
  const said = Buffer.from(/^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '');
  const wanted = Buffer.from(key);
  if (said.length !== wanted.length || !timingSafeEqual(said, wanted)) {
    throw new FederationError('UNAUTHENTICATED', 'this needs the key of this node’s worker daemon');
  }
}

function isLoopback(address = ''): boolean {
  return /^(?:::ffff:)?127\./.test(address) || address === '::1';
}

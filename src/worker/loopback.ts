import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FederationError } from '#src/core/errors.ts';

/** A port of this machine alone, and what is said where it can't be taken. */
export interface LoopbackPort {
  /** 0 takes a free one. */
  readonly port: number;
  /** Whom it is for, in words. */
  readonly purpose: string;
  readonly hint: string;
}

/** Listens, and says on which port. Throws PORT_IN_USE. */
export async function listenOnLoopback(server: Server, { port, purpose, hint }: LoopbackPort): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: '127.0.0.1', port }, resolve);
  try {
    await promise;
  } catch (cause) {
    throw new FederationError('PORT_IN_USE', `the port ${port} for ${purpose} can't be taken`, { hint, cause });
  }
  return (server.address() as AddressInfo).port;
}

/** Takes nobody any more, and breaks off its plain requests at once; resolves when what was upgraded is over, too. */
export async function closeLoopback(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  await promise;
}

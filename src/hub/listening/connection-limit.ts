import type { Server, Socket } from 'node:net';

/** Of one machine: its link, and streams of models and of its node host beside it. */
const MAX_PER_ADDRESS = 256;
/** A thousand nodes with some streams each; each plain connection costs about 25 kB. */
const MAX_CONNECTIONS = 8192;

export interface ConnectionLimits {
  readonly perAddress: number;
  readonly total: number;
  /** Whether an address is shared by many who have a right to it: they have the limit of all. */
  readonly isShared: (address: string) => boolean;
}

const LIMITS: ConnectionLimits = { perAddress: MAX_PER_ADDRESS, total: MAX_CONNECTIONS, isShared: isLoopback };

/** Turns away whoever opens more connections than a node needs. */
export function limitConnections(server: Server, { perAddress, total, isShared } = LIMITS): void {
  const open = new Map<string, number>();
  server.maxConnections = total;
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    if (!isShared(address)) limit(socket, address);
  });

  function limit(socket: Socket, address: string): void {
    const count = (open.get(address) ?? 0) + 1;
    if (count > perAddress) {
      socket.destroy();
      return;
    }
    open.set(address, count);
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left === 0) open.delete(address);
      else open.set(address, left);
    });
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./.test(address);
}

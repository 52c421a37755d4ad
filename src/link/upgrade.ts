import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { FederationError, errorBody } from '#src/core/errors.ts';
import { UPGRADE_PROTOCOL } from '#src/protocol/handshake.ts';

export interface UpgradeRefusal {
  readonly status: 400 | 403;
  readonly error: FederationError;
}

/**
 * Why this request may not become a link, or null. A browser always sends Origin and no node does; a Host that is not
 * ours comes from a name that was made to point here.
 */
export function refuseUpgrade(request: IncomingMessage, isHost: (host: string) => boolean): UpgradeRefusal | null {
  const { upgrade, origin, host } = request.headers;
  if (request.method !== 'GET' || upgrade?.toLowerCase() !== UPGRADE_PROTOCOL) {
    return {
      status: 400,
      error: new FederationError('USAGE', `only an upgrade to ${UPGRADE_PROTOCOL} is served here`),
    };
  }
  if (origin !== undefined) {
    return { status: 403, error: new FederationError('FORBIDDEN', 'a link is not opened from a web page') };
  }
  if (host === undefined || !isHost(host)) {
    const hint = 'add the name to hub.names on the master';
    return { status: 403, error: new FederationError('FORBIDDEN', 'this hub does not go by that name', { hint }) };
  }
  return null;
}

export function answerRefusal(socket: Socket, { status, error }: UpgradeRefusal): void {
  const body = JSON.stringify(errorBody(error));
  socket.write(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

export function answerUpgrade(socket: Socket): void {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${UPGRADE_PROTOCOL}\r\n\r\n`);
}

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { FederationError, errorBody } from '#src/core/errors.ts';
import { UPGRADE_PROTOCOL } from '#src/protocol/handshake.ts';

/** Why this request may not become a link, or null. */
export function upgradeRefusal({ method, headers }: IncomingMessage): FederationError | null {
  if (method === 'GET' && headers.upgrade?.toLowerCase() === UPGRADE_PROTOCOL) return null;
  return new FederationError('USAGE', `only an upgrade to ${UPGRADE_PROTOCOL} is served here`);
}

export function answerRefusal(socket: Socket, error: FederationError): void {
  const body = JSON.stringify(errorBody(error));
  socket.write(
    'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n' +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.destroySoon();
}

export function answerUpgrade(socket: Socket): void {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${UPGRADE_PROTOCOL}\r\n\r\n`);
}

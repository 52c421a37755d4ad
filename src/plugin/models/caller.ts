import type { IncomingMessage } from 'node:http';
import { FederationError } from '#src/core/errors.ts';
import { OPENCLAW_MODELS_KEY_FILE } from '#src/core/models/share.ts';
import { createDoor } from '#src/link/models/door.ts';

/**
 * Whether it is the worker daemon of this machine that asks. Throws FORBIDDEN for another machine, for a browser and for
 * a name that was made to point here, UNAUTHENTICATED without the key. The gateway itself may listen beyond loopback.
 */
export function checkCaller(request: IncomingMessage, key: string): void {
  const { remoteAddress = '', localPort = 0 } = request.socket;
  if (!/^(?:::ffff:)?127\.|^::1$/.test(remoteAddress)) {
    throw new FederationError('FORBIDDEN', 'this is for the worker daemon of this machine alone');
  }
  createDoor(key, OPENCLAW_MODELS_KEY_FILE).check(request, localPort);
}

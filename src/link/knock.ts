import { request } from 'node:http';
import type { LookupFunction, Socket } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { LINK_PATH, UPGRADE_PROTOCOL } from '#src/protocol/handshake.ts';

/** Connects and upgrades; a name is resolved anew each time, by `lookup` or as Node does. Rejects with HUB_UNREACHABLE, or HANDSHAKE_FAILED where something else than a hub answers. */
export function knock(
  hub: HubAddress,
  lookup: LookupFunction | undefined,
  signal: AbortSignal,
  path = LINK_PATH,
): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const knocking = request({
    ...hub,
    lookup,
    path,
    agent: false,
    headers: { Host: hubAddressText(hub), Connection: 'Upgrade', Upgrade: UPGRADE_PROTOCOL },
  });
  const stop = () => knocking.destroy(unreachable(hub, signal.reason));
  signal.addEventListener('abort', stop, { once: true });

  knocking.on('upgrade', (_response, socket: Socket, head: Buffer) => {
    signal.removeEventListener('abort', stop);
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    if (head.length > 0) socket.unshift(head);
    resolve(socket);
  });
  knocking.on('response', (response) => {
    const hint = response.statusCode === 403 ? 'add this name of the hub to hub.names on the master' : undefined;
    const error = new FederationError(
      'HANDSHAKE_FAILED',
      `${hubAddressText(hub)} answered ${response.statusCode}`,
      hint === undefined ? {} : { hint },
    );
    knocking.destroy(error);
  });
  knocking.on('error', (error) => reject(error instanceof FederationError ? error : unreachable(hub, error)));
  knocking.on('close', () => {
    signal.removeEventListener('abort', stop);
    reject(unreachable(hub, undefined));
  });
  knocking.end();
  if (signal.aborted) stop();
  return promise;
}

function unreachable(hub: HubAddress, cause: unknown): FederationError {
  return new FederationError('HUB_UNREACHABLE', `no hub answers at ${hubAddressText(hub)}`, {
    cause,
    hint: 'check the address, and on the master: manage-federation status',
  });
}

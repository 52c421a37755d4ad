import type { HubApi } from '#src/adapters/hub-api.ts';
import { hubThrough } from '#src/adapters/hub-api.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';

/** What an operator's requests go by: a connection to the hub that proved its key. */
export interface RemoteConnection {
  readonly credential: string;
  /** IP address of that hub. */
  readonly address: string;
  /** Aborted, with a FederationError that says why, when it is over. */
  readonly lost: AbortSignal;
}

/**
 * A hub on another machine. It is connected to at the first request, and anew where a connection was lost; what is under
 * way then fails with the reason. Its methods throw also what `connect` does, and UNAUTHENTICATED.
 */
export function remoteHub(hub: HubAddress, connect: () => Promise<RemoteConnection>): HubApi {
  let current: Promise<RemoteConnection> | null = null;
  let reason: unknown = null;

  function connected(): Promise<RemoteConnection> {
    current ??= connect().then(
      (connection) => {
        reason = null;
        connection.lost.addEventListener('abort', () => {
          reason = connection.lost.reason;
          current = null;
        });
        return connection;
      },
      (error: unknown) => {
        current = null;
        throw error;
      },
    );
    return current;
  }

  const host = hubAddressText(hub);
  return hubThrough(
    async () => {
      const { credential, address, lost } = await connected();
      // The address that proved the key, and not whatever the name stands for a moment later.
      return {
        to: { host: address, port: hub.port, agent: false },
        headers: { host, authorization: `Bearer ${credential}` },
        lost,
      };
    },
    async (cause) =>
      reason instanceof FederationError
        ? reason
        : new FederationError('HUB_UNREACHABLE', `the hub at ${host} does not answer`, {
            hint: 'tailscale status, and on the master: manage-federation status',
            cause,
          }),
  );
}

import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/link/knock.ts';

/** The way to the hub beside the link, while the credential that the link issued is good. */
export interface HubSession {
  /**
   * IP address that the link goes to. By another one of the same hub this node might come from another address of its
   * own, and the credential is good from one alone.
   */
  readonly address: string;
  readonly credential: string;
}

/** `host:port`, with IPv6 in brackets. Throws SETTINGS_INVALID. */
export function parseHubAddress(text: string | undefined): HubAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+?)\.?):(\d{1,5})$/.exec(text ?? '');
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host !== undefined && port > 0 && port <= 65_535) return { host, port };
  throw new FederationError('SETTINGS_INVALID', 'settings: worker.hub: not a host with its port', {
    hint: 'write it as 100.64.0.1:19000 or vps.tail.example:19000',
  });
}

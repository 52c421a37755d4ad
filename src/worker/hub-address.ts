import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { parseHubAddress } from '#src/core/hub-address.ts';

/** The way to the hub beside the link, while the credential that the link issued is good. */
export interface HubSession {
  /**
   * IP address that the link goes to. By another one of the same hub this node might come from another address of its
   * own, and the credential is good from one alone.
   */
  readonly address: string;
  readonly credential: string;
  /** Number of that link. */
  readonly link: number;
  /** Aborted when that link is lost: a hub that vanished without a word has lost what went to it beside the link too. */
  readonly lost: AbortSignal;
}

/** Where the settings have the hub. Throws SETTINGS_INVALID. */
export function hubOf(text: string | undefined): HubAddress {
  const hub = parseHubAddress(text ?? '');
  if (hub !== null) return hub;
  throw new FederationError('SETTINGS_INVALID', 'settings: worker.hub: not a host with its port', {
    hint: 'write it as 100.64.0.1:19000 or vps.tail.example:19000',
  });
}

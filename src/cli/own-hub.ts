import { homePath } from '#src/adapters/home.ts';
import type { HubClient } from '#src/adapters/hub.ts';
import { findHub } from '#src/adapters/hub.ts';
import type { Tailscale } from '#src/adapters/tailscale/tailscale.ts';
import { createTailscale } from '#src/adapters/tailscale/tailscale.ts';
import type { MasterAddress } from '#src/cli/master-address.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Role } from '#src/core/node.ts';
import type { Status, TokenCreated } from '#src/protocol/hub-api.ts';

/** The hub of the machine that deploys: it can let in the one that is deployed. */
export interface OwnHub {
  /** By which other machines reach it; null where it listens on loopback only. */
  readonly address: MasterAddress | null;
  /** Whether a person means this hub by that. */
  isAt(address: MasterAddress): boolean;
  mint(wanted: { readonly role: Role; readonly name: string }): Promise<string>;
}

/** Null where none answers here. */
export async function findOwnHub(
  signal: AbortSignal,
  tailscale: Tailscale = createTailscale(),
  home = homePath(undefined),
): Promise<OwnHub | null> {
  const hub = await answering(home);
  if (hub === null) return null;
  const { dnsName, addresses } = await tailscale.status(signal);
  const { address, port } = hub.record;
  const host = dnsName ?? addresses[0] ?? (isLoopback(address) ? null : address);
  const names = [address, ...addresses, ...(dnsName === null ? [] : [dnsName, dnsName.split('.', 1)[0]!])];
  return {
    address: host === null ? null : { host, port },
    isAt: (asked) => asked.port === port && names.includes(asked.host),
    async mint({ role, name }) {
      const { token } = await hub.ask<TokenCreated>('POST', '/tokens', { role, name });
      return token;
    },
  };
}

async function answering(home: string): Promise<HubClient | null> {
  try {
    const hub = await findHub(home);
    await hub.ask<Status>('GET', '/status');
    return hub;
  } catch (error) {
    if (error instanceof FederationError) return null;
    throw error;
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

import type { HubApi } from '#src/adapters/hub.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { parseMaster } from '#src/cli/deploy/master-address.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { peerNamed } from '#src/core/peer.ts';
import type { Role } from '#src/core/node.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';

/** The hub of the machine that deploys: it can let in the one that is deployed. */
export interface OwnHub {
  /** By which other machines reach it; null where it listens on loopback only. */
  readonly address: HubAddress | null;
  /** Whether a person means this hub by that. */
  isAt(address: HubAddress): boolean;
  mint(wanted: { readonly role: Role; readonly name: string }): Promise<string>;
}

/** Null where none answers to this user. */
export async function findOwnHub(): Promise<OwnHub | null> {
  try {
    const hub = await hubOf({});
    return ownHub(hub, await hub.ask<Status>('GET', '/status'));
  } catch (error) {
    if (error instanceof FederationError) return null;
    throw error;
  }
}

export function ownHub(hub: HubApi, { listening, tailnet }: Status): OwnHub {
  // The first is the operator's socket.
  const places = listening.slice(1).map(parseMaster);
  const [{ port } = { port: 0 }] = places;
  const isInTailnet = places.some(({ host }) => tailnet.addresses.includes(host));
  const beyond = places.find(({ host }) => !isLoopback(host));
  const host = isInTailnet && tailnet.dnsName !== null ? tailnet.dnsName : beyond?.host;
  const self = { dnsName: tailnet.dnsName, addresses: places.map((place) => place.host) };
  return {
    address: host === undefined ? null : { host, port },
    isAt: (asked) => asked.port === port && peerNamed([self], asked.host) !== null,
    async mint(wanted) {
      const { token } = await hub.ask<TokenCreated>('POST', '/tokens', wanted);
      return token;
    },
  };
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

import { isIPv6 } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText, parseHubAddress } from '#src/core/hub-address.ts';
import { HUB_PORT } from '#src/deploy/wanted.ts';

/** `name-or-address[:port]`, IPv6 in brackets; a last dot of the name falls away. Throws USAGE. */
export function parseMaster(text: string): HubAddress {
  const hub = parseHubAddress(text) ?? withUsualPort(text);
  if (hub === null) throw notUnderstood(text);
  return { ...hub, host: hub.host.toLowerCase() };
}

function withUsualPort(text: string): HubAddress | null {
  return parseHubAddress(`${text}:${HUB_PORT}`);
}

const EXAMPLE = 'write it as vps, vps.tail.example, 100.64.0.1 or [fd7a:115c::1]:19000';

function notUnderstood(text: string): FederationError {
  const said = JSON.stringify(text);
  const machine = text.slice(0, Math.max(0, text.lastIndexOf(':')));
  if (isIPv6(text)) {
    return new FederationError('USAGE', `${said} may end in a port`, { hint: `put it into brackets: [${text}]` });
  }
  if (withUsualPort(machine) === null) {
    return new FederationError('USAGE', `${said} names no machine`, { hint: EXAMPLE });
  }
  return new FederationError('USAGE', `${said}: the port is not a number from 1 to 65535`, {
    hint: `write it as ${machine}:${HUB_PORT}`,
  });
}

/** As it is typed; the port only where it isn't the usual one. */
export function masterText(master: HubAddress): string {
  const text = hubAddressText(master);
  return master.port === HUB_PORT ? text.slice(0, text.lastIndexOf(':')) : text;
}

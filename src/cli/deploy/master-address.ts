import { isIPv4, isIPv6 } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import { HUB_PORT } from '#src/deploy/wanted.ts';

/** Where workers find a hub. */
export interface MasterAddress {
  readonly host: string;
  readonly port: number;
}

/** A label of a DNS name (RFC 1123). */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/** `name-or-address[:port]`, IPv6 in brackets; a last dot of the name falls away. Throws USAGE. */
export function parseMaster(text: string): MasterAddress {
  const [, bracketed, bare, portText] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(text) ?? [];
  const port = portText === undefined ? HUB_PORT : Number(portText);
  if (bracketed === undefined && bare === undefined) {
    const hint = isIPv6(text) ? `put it into brackets: [${text}]` : EXAMPLE;
    throw new FederationError('USAGE', `${JSON.stringify(text)} is not a name or address with a port`, { hint });
  }
  const host = bracketed ?? bare!.replace(/\.$/, '');
  if (bracketed === undefined ? !isName(host) : !isIPv6(host)) {
    throw new FederationError('USAGE', `${JSON.stringify(text)} names no machine`, { hint: EXAMPLE });
  }
  if (portText !== undefined && (!/^\d{1,5}$/.test(portText) || port < 1 || port > 65_535)) {
    throw new FederationError('USAGE', `${JSON.stringify(text)}: the port is not a number from 1 to 65535`, {
      hint: `write it as ${text.slice(0, text.length - portText.length)}${HUB_PORT}`,
    });
  }
  return { host: host.toLowerCase(), port };
}

const EXAMPLE = 'write it as vps, vps.tail.example, 100.64.0.1 or [fd7a:115c::1]:19000';

function isName(host: string): boolean {
  if (isIPv4(host)) return true;
  const labels = host.split('.');
  // A last label of digits alone makes it an address, and this is none.
  return host.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
}

/** As it is typed; the port only where it isn't the usual one. */
export function masterText({ host, port }: MasterAddress): string {
  const shown = isIPv6(host) ? `[${host}]` : host;
  return port === HUB_PORT ? shown : `${shown}:${port}`;
}

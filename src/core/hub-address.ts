import { parseAddress } from '#src/core/address-range.ts';

/** Where nodes find a hub: its name or IP address, and its port. */
export interface HubAddress {
  readonly host: string;
  readonly port: number;
}

/** A label of a DNS name (RFC 1123). */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/** `host:port`, with IPv6 in brackets; a last dot of the name falls away. Null where it is none. */
export function parseHubAddress(text: string): HubAddress | null {
  const [, bracketed, bare, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? bare?.replace(/\.$/, '');
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) return null;
  return (bracketed === undefined ? isHostName(host) : isIPv6(host)) ? { host, port } : null;
}

/** As settings and Host headers have it: `vps.tail.example:19000`, `[fd7a:115c::1]:19000`. */
export function hubAddressText({ host, port }: HubAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A DNS name or an IPv4 address. */
function isHostName(host: string): boolean {
  if (parseAddress(host) !== null) return true;
  const labels = host.split('.');
  // A last label of digits alone makes it an address, and this is none.
  return host.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
}

function isIPv6(host: string): boolean {
  return host.includes(':') && parseAddress(host) !== null;
}

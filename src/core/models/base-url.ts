import type { AddressRange } from '#src/core/address-range.ts';
import { isIn, parseAddress, readAddressRange } from '#src/core/address-range.ts';

export type BaseUrlResult =
  | { readonly ok: true; readonly url: string }
  | { readonly ok: false; readonly problem: string };

const MAX_LENGTH = 2048;

/**
 * Where a machine in a cloud tells whoever asks from it its credentials, and where no model server is: link-local
 * addresses, and those that AWS, Google, Scaleway, Oracle, Azure and Alibaba Cloud (which Tailscale gives to no machine)
 * have beside them.
 */
const NEVER: readonly AddressRange[] = [
  ...['169.254.0.0/16', 'fe80::/10', '100.100.100.200', '168.63.129.16', '192.0.0.192'],
  ...['fd00:ec2::254', 'fd20:ce::254', 'fd00:42::42'],
].map(rangeOf);

/** IPv6 addresses that lead to an IPv4 address in them, and how far that is from their end: NAT64, 6to4, the oldest. */
const CARRIERS: readonly { readonly range: AddressRange; readonly shift: bigint }[] = [
  { range: rangeOf('64:ff9b::/96'), shift: 0n },
  { range: rangeOf('64:ff9b:1::/48'), shift: 0n },
  { range: rangeOf('2002::/16'), shift: 80n },
  { range: rangeOf('::/96'), shift: 0n },
];
const MAPPED = 0xffffn << 32n;

function rangeOf(text: string): AddressRange {
  const read = readAddressRange(text);
  if (!read.ok) throw new Error(`${text}: ${read.problem}`);
  return read.range;
}

/** Whether an address is one that no request for a model is ever sent to. */
export function isNeverAsked(address: string): boolean {
  const number = parseAddress(address);
  if (number === null) return false;
  const carried = CARRIERS.filter(({ range }) => isIn(number, range)).map(
    ({ shift }) => MAPPED | ((number >> shift) & 0xffffffffn),
  );
  return [number, ...carried].some((one) => NEVER.some((range) => isIn(one, range)));
}

/**
 * The base URL of a model server, without a slash at its end: `http://127.0.0.1:11434/v1`. One without a path gets
 * `/v1`. A name may still lead to an address that is never asked: whoever connects looks at that.
 */
export function readBaseUrl(text: string): BaseUrlResult {
  const refused = (problem: string): BaseUrlResult => ({ ok: false, problem });
  const url = text.length > MAX_LENGTH ? null : URL.parse(text);
  if (url === null) return refused('not a URL, as http://127.0.0.1:11434/v1');
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refused('a URL begins with http:// or https://');
  if (url.username !== '' || url.password !== '') {
    return refused('a URL holds no user and no password: a key stands in keyFile or keyEnvironment');
  }
  if (url.search !== '' || url.hash !== '') return refused('a base URL ends with its path, without ? or #');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isNeverAsked(host)) return refused(`${host} is where clouds keep credentials, and no model server`);
  const path = url.pathname.replace(/\/+$/, '');
  return { ok: true, url: `${url.origin}${path === '' ? '/v1' : path}` };
}

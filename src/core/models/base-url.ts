import type { AddressRange } from '#src/core/address-range.ts';
import { isIn, parseAddress, readAddressRange } from '#src/core/address-range.ts';

export type BaseUrlResult =
  | { readonly ok: true; readonly url: string }
  | { readonly ok: false; readonly problem: string };

const MAX_LENGTH = 2048;

/**
 * Where a machine in a cloud tells whoever asks from it its credentials, and where no model server is: link-local
 * addresses, those of AWS by IPv6, and that of Alibaba Cloud, which Tailscale gives to no machine.
 */
const NEVER: readonly AddressRange[] = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254', '100.100.100.200'].map(
  (text) => {
    const read = readAddressRange(text);
    if (!read.ok) throw new Error(`${text}: ${read.problem}`);
    return read.range;
  },
);

/** Whether an address is one that no request for a model is ever sent to. */
export function isNeverAsked(address: string): boolean {
  const number = parseAddress(address);
  return number !== null && NEVER.some((range) => isIn(number, range));
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

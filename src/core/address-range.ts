import ipaddr from 'ipaddr.js';

/** Addresses from `first` to `last`, as 128-bit numbers: an IPv4 address is the IPv6 address that it is mapped to (RFC 4291, 2.5.5.2). */
export interface AddressRange {
  readonly first: bigint;
  readonly last: bigint;
}

export type AddressRangeResult =
  | { readonly ok: true; readonly range: AddressRange }
  | { readonly ok: false; readonly problem: string };

/** The longest that an address or range can be. */
const MAX_LENGTH = 49;

/** An address, which is a range of one, or a range in CIDR notation: `10.0.0.0/24`, `fd00::/64`. */
export function readAddressRange(text: string): AddressRangeResult {
  const [address = '', length, ...rest] = text.length > MAX_LENGTH ? [] : text.split('/');
  const first = numberOf(address);
  if (first === null || rest.length > 0) return { ok: false, problem: 'not an address or a range, as 10.0.0.0/24' };
  const width = address.includes(':') ? 128 : 32;
  if (length === undefined) return { ok: true, range: { first, last: first } };
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length) || Number(length) > width) {
    return { ok: false, problem: `the number after / is from 0 to ${width}` };
  }
  const size = 1n << BigInt(width - Number(length));
  // Whoever writes 10.0.0.5/8 may mean one address, and would get sixteen million.
  if (first % size !== 0n) return { ok: false, problem: `${address} is not where a range of /${length} begins` };
  return { ok: true, range: { first, last: first + size - 1n } };
}

/**
 * The number of an address as a socket states it; null where it is none. The zone of a link-local address
 * (`fe80::1%eth0`, RFC 4007) says by which interface it is reached and is no part of it.
 */
export function parseAddress(text: string): bigint | null {
  const [address = '', zone] = text.split('%', 2);
  if (text.length > 2 * MAX_LENGTH || zone === '' || (zone !== undefined && !address.includes(':'))) return null;
  return numberOf(address);
}

export function isIn(address: bigint, { first, last }: AddressRange): boolean {
  return first <= address && address <= last;
}

function numberOf(text: string): bigint | null {
  if (text.length > MAX_LENGTH) return null;
  const bytes = addressIn(text)?.toByteArray();
  return bytes?.reduce((address, byte) => (address << 8n) | BigInt(byte), 0n) ?? null;
}

/** IPv4 is four decimal numbers without leading zeros: other notations are read in different ways by programs. */
function addressIn(text: string): ipaddr.IPv6 | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text).toIPv4MappedAddress();
  const groups = inGroups(text);
  return groups !== null && ipaddr.IPv6.isValid(groups) ? ipaddr.IPv6.parse(groups) : null;
}

/** With an IPv4 end written as two groups: ipaddr.js takes it in octal, too, and `::10.0.0.7` for a mapped address. */
function inGroups(text: string): string | null {
  if (text.includes('%')) return null;
  const [, head, end] = /^(.*:)(.*\..*)$/s.exec(text) ?? [];
  if (head === undefined || end === undefined) return text;
  if (!ipaddr.IPv4.isValidFourPartDecimal(end)) return null;
  const [a, b] = ipaddr.IPv4.parse(end).toIPv4MappedAddress().parts.slice(-2);
  return `${head}${a!.toString(16)}:${b!.toString(16)}`;
}

const constant = (text: string): AddressRange => {
  const read = readAddressRange(text);
  if (!read.ok) throw new Error(`${text}: ${read.problem}`);
  return read.range;
};

const LOOPBACK = ['127.0.0.0/8', '::1'].map(constant);
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'].map(constant);
/** Where Tailscale gives every machine its addresses. */
const TAILNET = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'].map(constant);
/** Within them addresses are given at random: a part that is wider than a /16 or /112 is as good as the whole. */
const TAILNET_PART = 1n << 16n;
const ALL_IPV4 = constant('0.0.0.0/0');
/** The widest that a network of somebody's own is: 10.0.0.0/8, or what a provider has. */
const WIDEST = { ipv4: 1n << 24n, ipv6: 1n << 96n };

/** Whether an address is this machine itself or of a tailnet: what goes there is seen by nobody on the way. */
export function isUnseen(text: string): boolean {
  const address = parseAddress(text);
  return address !== null && [...LOOPBACK, ...TAILNET].some((range) => isIn(address, range));
}

/** Why whoever is in one of these ranges is anybody at all, as the end of a sentence; null where they tell people apart. */
export function whyEverybody(ranges: readonly AddressRange[]): string | null {
  const touches = (places: readonly AddressRange[]) => places.some((place) => overlap(ranges, place) > 0n);
  if (ranges.some(isTooWide)) return 'a range that is wider than /8, or /32 of IPv6, is most of the world';
  if (touches(LOOPBACK)) return 'whatever is forwarded to this machine comes from a loopback address';
  if (touches(LINK_LOCAL)) return 'link-local addresses are the same in every network';
  if (TAILNET.some((tailnet) => overlap(ranges, tailnet) > TAILNET_PART)) return 'that range is the whole tailnet';
  return null;
}

function isTooWide({ first, last }: AddressRange): boolean {
  const isIPv4 = isIn(first, ALL_IPV4) && isIn(last, ALL_IPV4);
  return last - first + 1n > (isIPv4 ? WIDEST.ipv4 : WIDEST.ipv6) || (!isIPv4 && isIn(ALL_IPV4.first, { first, last }));
}

/** How many addresses of `place` are in any of the ranges: pieces that make up the whole are the whole. */
function overlap(ranges: readonly AddressRange[], place: AddressRange): bigint {
  let count = 0n;
  let next = place.first;
  for (const { first, last } of ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const from = first > next ? first : next;
    const to = last < place.last ? last : place.last;
    if (from > to) continue;
    count += to - from + 1n;
    next = to + 1n;
  }
  return count;
}

import type { AddressRange } from '#src/core/address-range.ts';
import { isIn, parseAddress, readAddressRange } from '#src/core/address-range.ts';

/** The way that a request has come by. */
export interface Way {
  /** Hubs that it has passed. */
  readonly hops: number;
  /** Ids of the nodes that it was served by. */
  readonly via: readonly string[];
}

/** Ids that are read of a header: more than any way has that is let on. */
const MAX_VIA = 16;

const BEGINNING: Way = { hops: 0, via: [] };

/** By its headers. Whoever says too much there only shortens its own way. */
export function wayOf(hops: string | null, via: string | null): Way {
  if (hops === null && via === null) return BEGINNING;
  const ids = (via ?? '').split(',', MAX_VIA).map((id) => id.trim());
  return {
    hops: /^\d{1,3}$/.test(hops ?? '') ? Number(hops) : 0,
    via: ids.filter((id) => /^[0-9a-f]{1,64}$/.test(id)),
  };
}

const PRIVATE: readonly AddressRange[] = [
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'],
  ...['::1/128', 'fc00::/7', 'fe80::/10'],
].flatMap((text) => {
  const read = readAddressRange(text);
  return read.ok ? [read.range] : [];
});

/**
 * Whether an upstream there could be a federation itself: it is told the way, without which nobody would see a circle.
 * A provider out in the world is no business of that.
 */
export function mayLeadBack(hostname: string): boolean {
  const address = parseAddress(hostname.replace(/^\[|\]$/g, ''));
  if (address !== null) return PRIVATE.some((range) => isIn(address, range));
  const name = hostname.toLowerCase();
  return !name.includes('.') || /\.(?:local|lan|internal|home|localhost|arpa|ts\.net)$/.test(name);
}

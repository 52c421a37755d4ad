import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { isUnseen } from '#src/core/address-range.ts';
import { FederationError } from '#src/core/errors.ts';

/**
 * Resolves names by `lookup`, and to nothing but addresses of the tailnet and of this machine: plain HTTP is for those
 * alone. What it fails with elsewhere is FORBIDDEN.
 */
export function unseenLookup(lookup: LookupFunction): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const all = typeof found === 'string' ? [] : found;
      const unseen = all.filter(({ address }) => isUnseen(address));
      const [first] = unseen;
      if (first === undefined) return callback(seen(host, all), []);
      if (options.all === true) callback(null, unseen);
      else callback(null, first.address, first.family);
    });
  };
}

/** The same for an address, which nobody resolves. Throws FORBIDDEN. */
export function refuseSeen(host: string): void {
  if (isIP(host) !== 0 && !isUnseen(host)) throw seen(host, []);
}

function seen(host: string, [first]: readonly LookupAddress[]): FederationError {
  const place = first === undefined ? host : `${host} (${first.address})`;
  return new FederationError('FORBIDDEN', `${place} is outside the tailnet, where others could read what is sent`, {
    hint: 'name the master as the tailnet does: tailscale status',
  });
}

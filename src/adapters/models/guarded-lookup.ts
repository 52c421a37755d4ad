import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isNeverAsked } from '#src/core/models/base-url.ts';

/**
 * Looks a name up as Node does, and fails where it leads to an address that is never asked: a name that is harmless when
 * it is written down may lead elsewhere when it is connected to.
 */
export const guardedLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '');
    const never = addresses.find(({ address }) => isNeverAsked(address));
    if (never !== undefined) {
      return callback(new Error(`${hostname} leads to ${never.address}, where clouds keep credentials`), '');
    }
    if (options.all === true) return callback(null, addresses);
    const [first] = addresses;
    return callback(null, first?.address ?? '', first?.family ?? 4);
  });
};

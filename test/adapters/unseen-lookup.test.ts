import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { expect, test } from 'vitest';
import { refuseSeen, unseenLookup } from '#src/adapters/unseen-lookup.ts';

const resolving = (...addresses: string[]): LookupFunction =>
  unseenLookup((_host, _options, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    ),
  );

function resolved(lookup: LookupFunction, all = true): Promise<string | LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup('vps', { all }, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
}

test.each(['100.64.0.1', '100.127.255.254', 'fd7a:115c:a1e0::1', '127.0.0.1', '::1', '::ffff:100.64.0.1'])(
  '%s is seen by nobody on the way',
  async (address) => {
    expect(() => refuseSeen(address)).not.toThrow();
    expect(await resolved(resolving(address), false)).toBe(address);
  },
);

test.each([
  '203.0.113.4',
  '10.0.0.1',
  '192.168.1.2',
  '100.128.0.1',
  'fd00::1',
  '2001:db8::1',
  '0.0.0.0',
  '169.254.1.1',
])('%s may be', async (address) => {
  expect(() => refuseSeen(address)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }));
  await expect(resolved(resolving(address))).rejects.toMatchObject({
    code: 'FORBIDDEN',
    message: `vps (${address}) is outside the tailnet, where others could read what is sent`,
  });
});

test('of a name that has several addresses only those are taken', async () => {
  expect(await resolved(resolving('203.0.113.4', '100.64.0.1'))).toEqual([{ address: '100.64.0.1', family: 4 }]);
});

test('a name is no address, and what the system says of it is said', async () => {
  expect(() => refuseSeen('vps.tail.example')).not.toThrow();
  const failing = unseenLookup((_host, _options, callback) => callback(new Error('ENOTFOUND'), []));
  await expect(resolved(failing)).rejects.toThrow('ENOTFOUND');
});

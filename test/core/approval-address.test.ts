import { describe, expect, it, test } from 'vitest';
import { isIn, parseAddress, readAddressRange } from '#src/core/address-range.ts';
import { BlockList, isIP, isIPv4 } from 'node:net';
import { randomNumbers } from '../support/random.ts';

function contains(range: string, address: string): boolean {
  const read = readAddressRange(range);
  if (!read.ok) throw new Error(read.problem);
  const number = parseAddress(address);
  return number !== null && isIn(number, read.range);
}

test.each<[string, string, boolean]>([
  ['10.0.0.0/24', '10.0.0.0', true],
  ['10.0.0.0/24', '10.0.0.255', true],
  ['10.0.0.0/24', '10.0.1.0', false],
  ['10.0.0.0/24', '9.255.255.255', false],
  ['10.0.0.5', '10.0.0.5', true],
  ['10.0.0.5', '10.0.0.6', false],
  ['10.0.0.5/32', '10.0.0.5', true],
  ['10.0.0.4/31', '10.0.0.5', true],
  ['0.0.0.0/0', '255.255.255.255', true],
  ['0.0.0.0/0', '::1', false],
  ['::/0', 'ffff::', true],
  ['::/0', '10.0.0.1', true],
  ['10.0.0.0/24', '::ffff:10.0.0.7', true],
  ['10.0.0.0/24', '::FFFF:10.0.0.7', true],
  ['10.0.0.0/24', '::ffff:a00:7', true],
  ['10.0.0.0/24', '0:0:0:0:0:ffff:10.0.0.7', true],
  ['10.0.0.0/24', '::ffff:10.0.1.7', false],
  ['10.0.0.0/24', '::10.0.0.7', false],
  ['10.0.0.0/24', '64:ff9b::10.0.0.7', false],
  ['10.0.0.0/24', '::ffff:010.0.0.7', false],
  ['10.0.0.0/24', '::ffff:0x0a.0.0.7', false],
  ['10.0.0.0/24', '::ffff:10.7', false],
  ['10.0.0.0/24', '::ffff:0:10.0.0.7', false],
  ['::/120', '::10.0.0.7', false],
  ['::10.0.0.0/120', '::10.0.0.7', true],
  ['::ffff:10.0.0.0/120', '10.0.0.7', true],
  ['fd00:1::/64', 'FD00:1::ABCD', true],
  ['FD00:1::/64', 'fd00:1::abcd', true],
  ['fd00:1::/64', 'fd00:1:0:1::', false],
  ['fd00:1::/64', 'fd00:0001:0000:0000:0000:0000:0000:0001', true],
  ['fe80::/64', 'fe80::1%eth0', true],
  ['fe80::/64', 'fe80::1%25', true],
  ['fd00::/127', 'fd00::1', true],
  ['fd00::/127', 'fd00::2', false],
  ['fd00::1/128', 'fd00::1', true],
  ['10.0.0.0/24', '10.0.0.7%eth0', false],
  ['10.0.0.0/24', '10.0.0.7.', false],
  ['10.0.0.0/24', '10.0.0.07', false],
  ['10.0.0.0/24', '10.0.7', false],
  ['10.0.0.0/24', '167772167', false],
  ['10.0.0.0/24', '0x0a.0.0.7', false],
  ['10.0.0.0/24', ' 10.0.0.7', false],
  ['10.0.0.0/24', '10.0.0.7\n', false],
  ['10.0.0.0/24', '10.0.0.7/32', false],
  ['10.0.0.0/24', '10.0.0.7:19000', false],
  ['10.0.0.0/24', '\uff11\uff10.0.0.7', false],
  ['::/0', '', false],
  ['::/0', ':', false],
  ['::/0', '[::1]', false],
])('%s and %s: %s', (range, address, expected) => {
  expect(contains(range, address)).toBe(expected);
});

test.each([
  ...[
    '',
    ' ',
    '/',
    '10.0.0.0/',
    '/8',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
  ],
  ...['10.0.0', '10.0.0.0.', '10.0.0.256', '010.0.0.0', '10.0.0.*', '1.2.3.4/1e1', 'localhost', 'home.example.com'],
  ...[
    '::/129',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    ':1',
    '1:',
    '12345::',
    'g::',
  ],
  ...['fe80::1%eth0', 'fe80::%eth0/64', '[::1]', '::1.2.3', '::1.2.3.4.5', '1.2.3.4::', '::1.2.3.4:5', '::/ 8'],
  ...['10.0.0.1/24', '0.0.0.1/0', 'fd00::1/64', '::1/0', '9'.repeat(1_000_000), ':'.repeat(1_000_000)],
])('%.60j is no range', (text) => {
  expect(readAddressRange(text).ok).toBe(false);
});

describe('against the runtime’s own reading', () => {
  const random = randomNumbers(1);
  const any = (count: number) => Math.floor(random() * count);
  const group = () => (any(3) === 0 ? '0' : any(0x10000).toString(16));
  const groups = (count: number) => Array.from({ length: count }, group).join(':');
  const ipv4 = () => Array.from({ length: 4 }, () => any(any(9) === 0 ? 300 : 256)).join('.');
  const ipv6 = () =>
    [
      () => groups(8),
      () => `${groups(any(5))}::${groups(any(5))}`,
      () => `::ffff:${ipv4()}`,
      () => `::ffff:0${ipv4()}`,
      () => `${groups(any(5))}::${ipv4()}`,
      () => `${groups(6)}:${ipv4()}`,
      () => `${groups(any(9))}::`,
    ][any(7)]!();
  const addresses = Array.from({ length: 4000 }, () => (any(2) === 0 ? ipv4() : ipv6()));

  it('the same texts are addresses', () => {
    const different = addresses.filter((text) => (isIP(text) !== 0) !== (parseAddress(text) !== null));
    expect(different).toEqual([]);
    expect(addresses.filter((text) => isIP(text) === 0).length).toBeGreaterThan(100);
  });

  it('the same addresses are in a range', () => {
    const family = (text: string) => (isIPv4(text) ? 'ipv4' : 'ipv6');
    const valid = addresses.filter((text) => isIP(text) !== 0);
    let inside = 0;
    for (const text of valid) {
      const length = any(isIPv4(text) ? 33 : 129);
      const other = any(3) === 0 ? text : valid[any(valid.length)]!;
      // Both in the notation of one family: the runtime looks at mapped addresses in its own way.
      if (family(text) !== family(other) || /^::ffff:/i.test(text + other) || other.startsWith('::ffff:')) continue;
      const list = new BlockList();
      list.addSubnet(text, length, family(text));
      const number = parseAddress(text)!;
      const size = 1n << BigInt((isIPv4(text) ? 32 : 128) - length);
      const first = number - (number % size);
      const expected = list.check(other, family(other));
      expect([text, length, other, isIn(parseAddress(other)!, { first, last: first + size - 1n })]).toEqual([
        ...[text, length, other],
        expected,
      ]);
      inside += Number(expected);
    }
    expect(inside).toBeGreaterThan(100);
  });
});

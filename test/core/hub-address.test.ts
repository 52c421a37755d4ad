import { expect, test } from 'vitest';
import { hubAddressText, parseHubAddress } from '#src/core/hub-address.ts';

test.each([
  ['vps:19000', 'vps', 19_000],
  ['VPS.tail.example.:1', 'VPS.tail.example', 1],
  ['100.64.0.1:65535', '100.64.0.1', 65_535],
  ['[fd7a:115c::1]:19000', 'fd7a:115c::1', 19_000],
])('%s is where a hub is', (text, host, port) => {
  expect(parseHubAddress(text)).toEqual({ host, port });
});

test.each(
  [
    ['', 'vps', 'vps:', ':19000', 'vps:0', 'vps:65536', 'vps:+1', 'vps:1e3', 'vps:1:2', 'fd7a:115c::1', 'a b:1'],
    ['[vps]:1', '[::1', '[100.64.0.1]:1', '[]:1', '-vps:1', 'vps..example:1', '1.2.3:1', '256.1.1.1:1', 'http://vps:1'],
  ].flat(),
)('%j is not', (text) => {
  expect(parseHubAddress(text)).toBeNull();
});

test.each(['vps:19000', '100.64.0.1:1', '[fd7a:115c::1]:19000'])('%s is written as it is read', (text) => {
  expect(hubAddressText(parseHubAddress(text)!)).toBe(text);
});

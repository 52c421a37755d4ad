import { expect, test } from 'vitest';
import { peerNamed } from '#src/core/peer.ts';

const vps = { dnsName: 'vps.tail.example', addresses: ['100.64.0.1', 'fd7a:115c::1'] };
const pi = { dnsName: 'Pi.Tail.Example', addresses: ['100.64.0.2'] };
const nameless = { dnsName: null, addresses: ['100.64.0.3'] };

test.each([
  ['vps.tail.example', vps],
  ['VPS.tail.example.', vps],
  ['vps', vps],
  ['fd7a:115c::1', vps],
  ['pi', pi],
  ['100.64.0.3', nameless],
  ['', null],
  ['tail', null],
  ['vps.other.example', null],
  ['100.64.0.4', null],
])('%j is one machine or none', (word, peer) => {
  expect(peerNamed([vps, pi, nameless], word)).toBe(peer);
});

test('of two machines that a word may mean it is neither', () => {
  const shared = { dnsName: 'vps.other.example', addresses: ['100.64.0.9'] };
  expect(peerNamed([vps, shared], 'vps')).toBeNull();
  expect(peerNamed([vps, shared], 'vps.tail.example')).toBe(vps);
});

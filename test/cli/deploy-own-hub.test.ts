import { expect, test } from 'vitest';
import type { HubApi } from '#src/adapters/hub.ts';
import { ownHub } from '#src/cli/deploy/own-hub.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';

const asked: unknown[] = [];
const HUB: HubApi = {
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    asked.push([method, path, body]);
    return { token: 'ocf1…' } as T;
  },
  open: () => Promise.reject(new Error('not asked')),
  put: () => Promise.reject(new Error('not asked')),
  send: () => Promise.reject(new Error('not asked')),
  model: () => Promise.reject(new Error('not asked')),
};

const STATUS = {
  listening: ['/run/operator.sock', '127.0.0.1:19100', '100.64.0.1:19100', '[fd7a:115c::1]:19100'],
  tailnet: { state: 'Running', addresses: ['100.64.0.1', 'fd7a:115c::1'], dnsName: 'vps.tail.example', problem: null },
} as unknown as Status;

test('a hub in the tailnet is reached by its full name there', () => {
  expect(ownHub(HUB, STATUS).address).toEqual({ host: 'vps.tail.example', port: 19_100 });
});

test.each<[string, number, boolean]>([
  ['vps', 19_100, true],
  ['vps.tail.example', 19_100, true],
  ['100.64.0.1', 19_100, true],
  ['fd7a:115c::1', 19_100, true],
  ['vps', 19_000, false],
  ['other', 19_100, false],
])('%s:%i means this hub: %s', (host, port, expected) => {
  expect(ownHub(HUB, STATUS).isAt({ host, port })).toBe(expected);
});

test('without a tailnet name it is reached by its address, and on loopback alone by none', () => {
  const nameless = { ...STATUS, tailnet: { ...STATUS.tailnet, dnsName: null } };
  expect(ownHub(HUB, nameless).address).toEqual({ host: '100.64.0.1', port: 19_100 });
  const local = { ...STATUS, listening: STATUS.listening.slice(0, 2) };
  expect(ownHub(HUB, local).address).toBeNull();
});

test('it makes a token that is good for one name and role', async () => {
  expect(await ownHub(HUB, STATUS).mint({ role: 'worker', name: 'pi' })).toBe('ocf1…');
  expect(asked).toEqual([['POST', '/tokens', { role: 'worker', name: 'pi' }]]);
});

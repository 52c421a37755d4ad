import { expect, test } from 'vitest';
import { createCredentials } from '#src/hub/fleet/credentials.ts';

const SESSION = { nodeId: 'n', link: 1, address: '100.64.0.1' };

test('a credential outlives its link by a minute, and no other link of the node', () => {
  let now = 0;
  const credentials = createCredentials(() => now);
  const first = credentials.issue(SESSION);
  const second = credentials.issue({ ...SESSION, link: 2 });
  credentials.linkEnded('n', 1);
  now = 59_999;
  expect(credentials.find(first, SESSION.address)).toEqual(SESSION);
  now = 60_000;
  expect(credentials.find(first, SESSION.address)).toBeNull();
  expect(credentials.find(second, SESSION.address)?.link).toBe(2);
});

test('a credential of a node that is out is dead at once, and only that node’s', () => {
  const credentials = createCredentials();
  const out = [1, 2].map((link) => credentials.issue({ ...SESSION, link }));
  const other = credentials.issue({ ...SESSION, nodeId: 'm' });
  credentials.revoke('n');
  expect(out.map((bearer) => credentials.find(bearer, SESSION.address))).toEqual([null, null]);
  expect(credentials.find(other, SESSION.address)?.nodeId).toBe('m');
});

test('no two credentials are the same, and none is found by a part of it or from elsewhere', () => {
  const credentials = createCredentials();
  const bearers = Array.from({ length: 100 }, () => credentials.issue(SESSION));
  expect(new Set(bearers).size).toBe(100);
  const [bearer] = bearers;
  expect(bearer).toMatch(/^[\w-]{43}$/);
  for (const wrong of ['', bearer!.slice(1), `${bearer}=`, bearer!.toUpperCase()]) {
    expect(credentials.find(wrong, SESSION.address)).toBeNull();
  }
  expect(credentials.find(bearer!, '100.64.0.2')).toBeNull();
  expect(credentials.find(bearer!, '::ffff:100.64.0.1')).toEqual(SESSION);
});

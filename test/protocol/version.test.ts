import { expect, test } from 'vitest';
import { PROTOCOL_VERSIONS, negotiate } from '#src/protocol/version.ts';

test.each([
  ['the same', [1], [1], 1],
  ['N and N-1 on both sides', [3, 2], [3, 2], 3],
  ['a node one behind', [3, 2], [2, 1], 2],
  ['a hub one behind', [2, 1], [3, 2], 2],
  ['any order', [1, 2], [2, 1], 2],
])('%s meet at the newest that both speak', (_name, hub, node, version) => {
  expect(negotiate(hub, node)).toBe(version);
});

test.each([
  ['the node', [3, 2], [1]],
  ['the hub', [1], [3, 2]],
  ['the node', [3, 2], []],
])('where none is common, %s is what has to be upgraded', (side, hub, node) => {
  expect(() => negotiate(hub, node)).toThrow(
    expect.objectContaining({ code: 'VERSION_UNSUPPORTED', hint: `upgrade openclaw-federation on ${side}` }),
  );
});

test('this build offers its newest version first, and at most the one before it', () => {
  expect([...PROTOCOL_VERSIONS].toSorted((one, other) => other - one)).toEqual(PROTOCOL_VERSIONS);
  expect(PROTOCOL_VERSIONS.length).toBeLessThanOrEqual(2);
  expect(PROTOCOL_VERSIONS).toContain(1);
});

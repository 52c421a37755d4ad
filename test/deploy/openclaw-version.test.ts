import { expect, test } from 'vitest';
import { compareVersions, runsOpenClaw, supportsOpenClaw } from '#src/deploy/openclaw-version.ts';

test.each([
  ['2026.8.31', false],
  ['2026.9.0-beta.2', false],
  ['2026.9.0', true],
  ['2026.9.6', true],
  ['2026.9.7-beta.1', true],
  ['2026.12.40', true],
  ['2027.0.0-beta.1', false],
  ['2027.1.0', false],
  ['', false],
  ['unknown', false],
])('OpenClaw %j is supported: %j', (version, supported) => {
  expect(supportsOpenClaw(version)).toBe(supported);
});

test.each([
  ['v20.20.2', false],
  ['v24.15.9', false],
  ['v24.16.0', true],
  ['24.21.0', true],
  ['v25.9.0', false],
  ['v26.0.9', false],
  ['v26.1.0', true],
  ['v30.0.0', true],
  ['v25.0.0-nightly2026', false],
  ['v26.1.0-nightly2026', false],
  ['v26.2.0-nightly2026', true],
  ['not a version', false],
])('Node %j runs OpenClaw: %j', (version, runs) => {
  expect(runsOpenClaw(version)).toBe(runs);
});

test('versions are ordered by number, a pre-release before its release', () => {
  const versions = ['2026.10.1', '2026.9.6', 'nonsense', '2026.9.6-rc.10', '2026.9.6-rc.9', '2026.9.10', 'v2026.9.7'];
  expect(versions.toSorted(compareVersions)).toEqual([
    'nonsense',
    '2026.9.6-rc.9',
    '2026.9.6-rc.10',
    '2026.9.6',
    'v2026.9.7',
    '2026.9.10',
    '2026.10.1',
  ]);
});

/**
 * Releases of OpenClaw that this version works with: from the first of its gateway protocol 4 with join codes, of which
 * 2026.9.6 was tried, up to the end of that year’s. It names releases by year and month and promises nothing across
 * years, so a newer one is tried before it is let in.
 */
const OPENCLAW = { from: '2026.9.0', below: '2027.0.0' };

/** What OpenClaw 2026.9 demands of the Node that runs it, by the `engines` of its package.json. */
const NODE = [
  { from: '24.16.0', below: '25.0.0' },
  { from: '26.1.0', below: null },
];

export function supportsOpenClaw(version: string): boolean {
  return isIn(version, OPENCLAW);
}

/** Whether a Node of this version runs OpenClaw, and us. */
export function runsOpenClaw(nodeVersion: string): boolean {
  return NODE.some((range) => isIn(nodeVersion, range));
}

function isIn(version: string, { from, below }: { readonly from: string; readonly below: string | null }): boolean {
  return compareVersions(version, from) >= 0 && (below === null || compareVersions(version, below) < 0);
}

/** Like a comparator of sort: `1.2.3`, with or without a leading `v`. A pre-release stands before its release. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  const differing = left.numbers.findIndex((number, index) => number !== right.numbers[index]);
  if (differing >= 0) return (left.numbers[differing] ?? 0) - (right.numbers[differing] ?? 0);
  return Number(right.isPreRelease) - Number(left.isPreRelease);
}

/** What is no version at all stands before every one. */
function parts(version: string): { readonly numbers: readonly number[]; readonly isPreRelease: boolean } {
  const [, major, minor, patch, rest = ''] = /^v?(\d+)\.(\d+)(?:\.(\d+))?(-\S+)?/.exec(version.trim()) ?? [];
  const numbers = [major ?? -1, minor ?? 0, patch ?? 0].map(Number);
  return { numbers, isPreRelease: rest !== '' };
}

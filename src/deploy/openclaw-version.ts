import semver from 'semver';

/**
 * Releases of OpenClaw that this version works with: from the first of its gateway protocol 4 with join codes, of which
 * 2026.9.6 was tried, up to the end of that year’s. It names releases by year and month and promises nothing across
 * years, so a newer one is tried before it is let in.
 */
const OPENCLAW = '>=2026.9.0 <2027.0.0-0';

/** What OpenClaw 2026.9 demands of the Node that runs it, by the `engines` of its package.json. */
const NODE = '>=24.16.0 <25.0.0-0 || >=26.1.0';

export function supportsOpenClaw(version: string): boolean {
  return semver.satisfies(version, OPENCLAW, { includePrerelease: true });
}

/** Whether a Node of this version runs OpenClaw, and us. */
export function runsOpenClaw(nodeVersion: string): boolean {
  return semver.satisfies(nodeVersion, NODE, { includePrerelease: true });
}

/** Like a comparator of sort. What is no version at all stands before every one. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [semver.parse(a), semver.parse(b)];
  if (left === null || right === null) return Number(left !== null) - Number(right !== null);
  return left.compare(right);
}

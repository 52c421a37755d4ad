import { FederationError } from '#src/core/errors.ts';

/** Versions of the link protocol that this build speaks, newest first: N, and N-1 once there is one. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

/** The newest version that both speak. Throws VERSION_UNSUPPORTED where there is none. */
export function negotiate(ours: readonly number[], theirs: readonly number[]): number {
  const common = ours.filter((version) => theirs.includes(version));
  if (common.length > 0) return Math.max(...common);
  const behind = Math.max(...theirs, 0) < Math.min(...ours) ? 'the node' : 'the hub';
  throw new FederationError(
    'VERSION_UNSUPPORTED',
    `no common protocol version (hub and node speak ${ours.join(', ')} and ${theirs.join(', ')})`,
    { hint: `upgrade openclaw-federation on ${behind}` },
  );
}

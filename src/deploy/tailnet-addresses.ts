import type { Machine, Ran } from '#src/adapters/machine/machine.ts';
import type { TailnetPeer } from '#src/adapters/tailscale/answers.ts';
import { readStatus } from '#src/adapters/tailscale/answers.ts';
import { FederationError } from '#src/core/errors.ts';
import { peerNamed } from '#src/core/peer.ts';

/** Addresses of the machine that a word means in the tailnet, as that machine knows it now; none where it knows none. */
export async function tailnetAddresses(
  machine: Machine,
  word: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const ran = await machine.run({ argv: ['tailscale', 'status', '--json'], as: 'login', signal }).catch(missing);
  return peerNamed(ran === null ? [] : peersIn(ran), word)?.addresses ?? [];
}

function missing(error: unknown): null {
  if (error instanceof FederationError && error.code === 'PROGRAM_MISSING') return null;
  throw error;
}

/** A client whose daemon doesn’t run prints no status. */
function peersIn({ stdout }: Ran): readonly TailnetPeer[] {
  try {
    return readStatus(stdout).peers;
  } catch {
    return [];
  }
}

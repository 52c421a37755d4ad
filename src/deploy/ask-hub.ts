import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Answered } from '#src/deploy/ask-from.ts';
import { askFrom } from '#src/deploy/ask-from.ts';

export interface HubQuestion {
  readonly hub: HubAddress;
  /** Tailnet addresses of that host: asked for, and tried, where its name leads nowhere. */
  readonly addresses: () => Promise<readonly string[]>;
  readonly path: string;
}

/** Asks a hub from a machine, as its worker daemon reaches it. Throws as askFrom. */
export async function askHub(
  machine: Machine,
  { hub, addresses, path }: HubQuestion,
  signal: AbortSignal,
): Promise<Answered> {
  try {
    return await askFrom(machine, { to: hub, path }, signal);
  } catch (error) {
    if (!isSilent(error)) throw error;
    // What a name leads to is known only when somebody answers there: over ssh a connection is there at once.
    for (const address of await addresses()) {
      if (address === hub.host) continue;
      const answered = await askFrom(machine, { to: hub, by: address, path }, signal).catch(silence);
      if (answered !== null) return answered;
    }
    throw error;
  }
}

function silence(error: unknown): null {
  if (isSilent(error)) return null;
  throw error;
}

function isSilent(error: unknown): boolean {
  return error instanceof FederationError && error.code === 'HUB_UNREACHABLE';
}

import { setTimeout as pause } from 'node:timers/promises';
import { FederationError } from '#src/core/errors.ts';

const ASK_MS = 100;

export interface Wanted<T> {
  /** For the message where it does not come. */
  readonly what: string;
  readonly withinMs: number;
  /** What is waited for, or null while it is not there. Errors of an adapter that is not up yet count as null. */
  readonly look: () => Promise<T | null>;
  readonly hint: string;
  readonly signal: AbortSignal;
}

/** Asks until it is so. Throws START_FAILED when the time is over, and the signal's reason when it is aborted. */
export async function until<T>({ what, withinMs, look, hint, signal }: Wanted<T>): Promise<T> {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    signal.throwIfAborted();
    const found = await look().catch((error: unknown) => {
      if (error instanceof FederationError) return null;
      throw error;
    });
    if (found !== null) return found;
    await pause(ASK_MS, undefined, { signal });
  }
  throw new FederationError('START_FAILED', `${what} did not come within ${Math.round(withinMs / 1000)} s`, { hint });
}

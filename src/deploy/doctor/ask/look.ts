import type { Command, Machine, Ran } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';

/** A doctor that hangs at a broken thing finds nothing. */
const ANSWER_MS = 10_000;

/**
 * Runs a program that only looks. Null where it is not there, where it may not be run, and where it does not come to
 * its end: that nothing is known is a finding too. Throws MACHINE_UNREACHABLE, and the reason of `signal`.
 */
export async function look(machine: Machine, command: Command, withinMs = ANSWER_MS): Promise<Ran | null> {
  const { signal } = command;
  const late = AbortSignal.timeout(withinMs);
  try {
    return await machine.run({ ...command, signal: AbortSignal.any([signal, late]) });
  } catch (error) {
    signal.throwIfAborted();
    const isRefused =
      error instanceof FederationError && (error.code === 'PROGRAM_MISSING' || error.code === 'SUDO_REFUSED');
    if (isRefused || late.aborted) return null;
    throw error;
  }
}

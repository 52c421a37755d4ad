import { reportError } from '#src/adapters/terminal.ts';
import { FederationError } from '#src/core/errors.ts';
import { execExitCode, outcomeOfFailure } from '#src/core/outcome.ts';

/**
 * The exit code of what is asked of one node, as `exec` has it: 254 where nobody knows whether it happened, 255 where it
 * never did because the node is away or it is not allowed. Throws what else went wrong.
 */
export async function deedExitCode(work: () => Promise<number>, { json }: { readonly json: boolean }): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof FederationError)) throw error;
    const outcome = outcomeOfFailure(error);
    if (outcome === 'failed' || error.code === 'INTERNAL') throw error;
    reportError(error, { json });
    return execExitCode({ outcome, exitCode: null, signal: null });
  }
}

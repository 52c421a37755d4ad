import { reportError, say } from '#src/adapters/terminal.ts';
import type { GlobalFlags } from '#src/cli/manage/context.ts';
import { hubOf } from '#src/cli/manage/context.ts';
import { printJson } from '#src/cli/print.ts';
import { exitCodeOf, FederationError } from '#src/core/errors.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';

/** `manage-federation reject WORD…`: one that fails does not stop the others. Returns the exit code of the worst. */
export async function rejectNodes(words: readonly string[], flags: GlobalFlags): Promise<number> {
  const hub = await hubOf(flags);
  const rejected: PairingRequestView[] = [];
  const failed: FederationError[] = [];
  for (const word of new Set(words)) {
    try {
      const path = `/pairing-requests/${encodeURIComponent(word)}/reject`;
      const request = await hub.ask<PairingRequestView>('POST', path);
      rejected.push(request);
      if (flags.json !== true) say(`rejected ${request.name} (${request.fingerprint})`);
    } catch (error) {
      if (!(error instanceof FederationError) || words.length === 1) throw error;
      failed.push(error);
    }
  }
  if (flags.json === true) printJson(rejected);
  for (const error of failed) reportError(error);
  return Math.max(0, ...failed.map(({ code }) => exitCodeOf(code)));
}

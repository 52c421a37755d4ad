import type { Machine } from '#src/adapters/machine/machine.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Finding } from '#src/core/finding.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import type { Fix, MachineFinding } from '#src/deploy/doctor/finding.ts';
import type { Facts } from '#src/deploy/facts.ts';

/**
 * Does what is safe of what the findings ask for, and says of each of them what became of it; those without a fix are
 * left out. Nothing is recorded: it brings back what a deployment made. Examine anew afterwards, for one thing mended
 * may mend or show another. Throws the reason of `signal`, and MACHINE_UNREACHABLE.
 */
export async function mend(
  findings: readonly MachineFinding[],
  machine: Machine,
  { place, person }: Pick<Facts, 'place' | 'person'>,
  signal: AbortSignal,
  progress: (line: string) => void,
): Promise<Finding[]> {
  const context: Context = {
    machine,
    place,
    person,
    signal,
    progress,
    joinToken: null,
    mint: () => Promise.reject(new Error('nothing that is mended takes a token')),
    packageFolder: '',
  };
  const mended: Finding[] = [];
  for (const finding of findings) {
    if (finding.state === 'ok' || finding.fix === undefined) continue;
    mended.push(await mendOne(finding, finding.fix, context));
  }
  return mended;
}

async function mendOne(finding: MachineFinding, fix: readonly Fix[], context: Context): Promise<Finding> {
  const { check, found } = finding;
  context.progress(`${check}: ${found}`);
  try {
    for (const action of fix) await kindOf(action).apply(action, context);
    return { check, state: 'ok', found: `mended: ${found}` };
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof FederationError) || error.code === 'MACHINE_UNREACHABLE') throw error;
    const mendText = error.hint ?? finding.mend;
    return {
      check,
      state: 'fail',
      found: `could not be mended: ${error.message}`,
      ...(finding.why === undefined ? {} : { why: finding.why }),
      ...(mendText === undefined ? {} : { mend: mendText }),
    };
  }
}

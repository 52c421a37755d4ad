import { say } from '#src/adapters/terminal.ts';
import { contextOf } from '#src/cli/action-context.ts';
import type { DeployFlags } from '#src/cli/deploy-flags.ts';
import type { DeployTools } from '#src/cli/deploy-tools.ts';
import { onMachine } from '#src/cli/deployment.ts';
import { printFindings } from '#src/cli/finding.ts';
import { scopeOf } from '#src/cli/inquiry.ts';
import { noticed } from '#src/cli/notice.ts';
import { showProgress } from '#src/cli/progress.ts';
import type { Machine } from '#src/adapters/machine/machine.ts';
import type { Plan } from '#src/deploy/action.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import type { Facts } from '#src/deploy/facts.ts';

export interface MachineDoctorFlags extends Pick<DeployFlags, 'ssh' | 'system' | 'user' | 'runAs' | 'json'> {
  /** Mends what can be mended without losing data or widening access. */
  readonly fix?: boolean;
}

/** `deploy-federation doctor`: exit code 1 when something is broken, after mending where that was wanted. */
export function machineDoctor(flags: MachineDoctorFlags, tools: DeployTools): Promise<number> {
  return onMachine(flags, tools, async (machine, signal) => {
    const look = async () => {
      const asked = { scope: scopeOf(flags), runAs: flags.runAs ?? null };
      const facts = await tools.gather(machine, asked, signal);
      return { facts, findings: await tools.examine(machine, facts, signal) };
    };
    const silent = flags.json === true;
    const seen = () => noticed(`looking at ${machine.name}`, look(), silent);
    let { facts, findings } = await seen();
    const plan = mending(findings);
    if (flags.fix === true && facts.record !== null && plan.steps.length > 0) {
      await mend(plan, facts, facts.record.wanted, { machine, tools, silent, signal });
      ({ facts, findings } = await seen());
    }
    const code = printFindings(findings, { json: silent });
    if (flags.fix !== true && plan.steps.length > 0 && !silent) {
      say(`mended without asking by --fix: ${plan.steps.map(({ id }) => id).join(', ')}`);
    }
    return code;
  });
}

/** What can be mended, as a plan. */
function mending(findings: readonly MachineFinding[]): Plan {
  const steps = findings.flatMap(({ check, fix }) =>
    fix === undefined || fix.length === 0 ? [] : [{ id: check, title: `${check} is mended`, actions: fix }],
  );
  return { steps, notes: [] };
}

interface Mending {
  readonly machine: Machine;
  readonly tools: DeployTools;
  readonly silent: boolean;
  readonly signal: AbortSignal;
}

async function mend(
  plan: Plan,
  facts: Facts,
  wanted: NonNullable<Facts['record']>['wanted'],
  { machine, tools, silent, signal }: Mending,
): Promise<void> {
  const progress = showProgress(plan.steps, silent);
  try {
    await tools.apply(plan, contextOf({ machine, signal }, facts, { progress: progress.line }), {
      wanted,
      onStep: progress.step,
    });
  } finally {
    await progress.close();
  }
}

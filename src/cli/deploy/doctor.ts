import { say } from '#src/adapters/terminal.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import { onMachine } from '#src/cli/deploy/deployment.ts';
import { printFindings } from '#src/cli/finding.ts';
import { scopeOf } from '#src/cli/deploy/inquiry.ts';
import { noticed } from '#src/cli/deploy/notice.ts';
import { refuseAsRoot, refuseWithoutRoot } from '#src/deploy/root-deployment.ts';

export interface MachineDoctorFlags extends Pick<DeployFlags, 'ssh' | 'system' | 'user' | 'runAs' | 'json'> {
  /** Mends what can be mended without losing data or widening access. */
  readonly fix?: boolean;
}

/** `deploy-federation doctor`: exit code 1 when something is broken, after mending where that was wanted. */
export function machineDoctor(flags: MachineDoctorFlags, tools: DeployTools): Promise<number> {
  return onMachine(flags, tools, async (machine, signal) => {
    const silent = flags.json === true;
    const look = async () => {
      const asked = { scope: scopeOf(flags), runAs: flags.runAs ?? null };
      const facts = await tools.gather(machine, asked, signal);
      refuseWithoutRoot(facts, 'deploy-federation doctor');
      refuseAsRoot(facts, 'deploy-federation doctor');
      return { facts, findings: await tools.examine(machine, facts, signal) };
    };
    const seen = () => noticed(`looking at ${machine.name}`, look(), silent);
    const { facts, findings } = await seen();
    const mendable = findings.filter(({ state, fix }) => state !== 'ok' && fix !== undefined && fix.length > 0);
    if (flags.fix !== true || mendable.length === 0) {
      const code = printFindings(findings, { json: silent });
      if (mendable.length > 0 && !silent) say(`--fix mends: ${mendable.map(({ check }) => check).join(', ')}`);
      return code;
    }
    const tried = await tools.mend(mendable, machine, facts, signal, silent ? () => undefined : say);
    const still = tried.filter(({ state }) => state === 'fail');
    const { findings: after } = await seen();
    return printFindings([...after, ...still], { json: silent });
  });
}

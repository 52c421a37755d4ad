import { fileURLToPath } from 'node:url';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { VERSION } from '#src/adapters/version.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import { askMachine } from '#src/deploy/doctor/answers.ts';
import { checkDeployment } from '#src/deploy/doctor/check/deployment.ts';
import { checkDisks } from '#src/deploy/doctor/check/disk.ts';
import { checkGateway } from '#src/deploy/doctor/check/gateway.ts';
import { checkClock, checkHub, checkVersions } from '#src/deploy/doctor/check/hub.ts';
import { checkModels } from '#src/deploy/doctor/check/models.ts';
import { checkNodeHost } from '#src/deploy/doctor/check/node-host.ts';
import { checkOpenClaw, checkOwnGateway } from '#src/deploy/doctor/check/openclaw.ts';
import { checkPending } from '#src/deploy/doctor/check/pending.ts';
import { checkPermissions } from '#src/deploy/doctor/check/permissions.ts';
import { checkPlugin } from '#src/deploy/doctor/check/plugin.ts';
import { checkPorts } from '#src/deploy/doctor/check/ports.ts';
import { checkProgram } from '#src/deploy/doctor/check/program.ts';
import { checkExec, checkSettings } from '#src/deploy/doctor/check/settings.ts';
import { checkName, checkTailnet } from '#src/deploy/doctor/check/tailnet.ts';
import { checkLinger, checkUnits } from '#src/deploy/doctor/check/units.ts';
import { checkWorker } from '#src/deploy/doctor/check/worker.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import { deployedOn } from '#src/deploy/doctor/deployed.ts';
import type { MachineFinding } from '#src/deploy/doctor/finding.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

const PROGRAM = fileURLToPath(new URL('../../../bin/deploy-federation', import.meta.url));

/**
 * What is right and what is wrong with a machine of a federation. Nothing of it is changed. Throws
 * MACHINE_UNREACHABLE, and the reason of `signal`.
 */
export async function examine(machine: Machine, facts: Facts, signal: AbortSignal): Promise<MachineFinding[]> {
  const deployed = deployedOn(facts);
  if (deployed === null) return [checkDeployment(facts)];
  const found = findings(facts, deployed, await askMachine(machine, facts, deployed, signal));
  // What was cut off is taken up as a whole: half of it mended would look finished.
  return facts.record?.state === 'deployed' ? found : found.map(withoutFix);
}

function withoutFix(finding: MachineFinding): MachineFinding {
  const { check, state, found, why, mend } = finding;
  return { check, state, found, ...(why === undefined ? {} : { why }), ...(mend === undefined ? {} : { mend }) };
}

/** The findings that facts and answers lead to: what others depend on comes first. */
export function findings(facts: Facts, deployed: Deployed, answers: Answers): MachineFinding[] {
  return [
    checkDeployment(facts),
    checkProgram(facts, deployed, answers, { version: VERSION, program: PROGRAM }),
    ...checkSettings(facts, deployed),
    ...checkPermissions(facts, deployed, answers),
    ...checkDisks(facts, answers),
    checkTailnet(facts, deployed, answers),
    ...checkName(facts, deployed, answers),
    ...checkPorts(facts, deployed),
    ...checkUnits(facts, deployed, answers),
    ...checkLinger(facts),
    checkHub(facts, deployed, answers),
    ...checkVersions(facts, deployed, answers, PROTOCOL_VERSIONS),
    ...checkClock(facts, answers),
    checkWorker(facts, answers),
    ...checkNodeHost(facts, deployed, answers),
    ...checkExec(facts, deployed),
    ...checkOpenClaw(facts, deployed, answers),
    ...checkOwnGateway(facts, deployed),
    ...checkGateway(facts, deployed),
    ...checkPlugin(facts, deployed, answers),
    ...checkModels(facts, deployed, answers),
    ...checkPending(deployed, answers),
  ];
}

import { randomBytes } from 'node:crypto';
import { thisMachine } from '#src/adapters/machine/local.ts';
import { sshMachine } from '#src/adapters/machine/ssh.ts';
import { canAsk } from '#src/cli/confirm.ts';
import type { DeployTools } from '#src/cli/deploy/tools.ts';
import { findOwnHub } from '#src/cli/deploy/own-hub.ts';
import { askHidden } from '#src/cli/deploy/question.ts';
import { applyPlan } from '#src/deploy/apply.ts';
import { examine } from '#src/deploy/doctor/doctor.ts';
import { mend } from '#src/deploy/doctor/mend.ts';
import { PACKAGE_FOLDER } from '#src/cli/deploy/package-folder.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { gatherFacts } from '#src/deploy/gather.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { rotateKey } from '#src/deploy/rotate-key.ts';
import { nodeIn, releaseFor } from '#src/deploy/release/release.ts';
import { undoDeployment } from '#src/deploy/undo.ts';
import type { UnitName } from '#src/deploy/unit.ts';
import { readPolicyTemplate, readUnitTemplate } from '#src/deploy/unit.ts';

/** The real ones. */
export const machineTools: DeployTools = {
  reach(target, signal) {
    const asking = canAsk() ? { askPassword: (prompt: string) => askHidden(prompt, signal) } : {};
    return target === null ? Promise.resolve(thisMachine(asking)) : sshMachine(target, { ...asking, signal });
  },
  gather: gatherFacts,
  given,
  apply: applyPlan,
  undo: undoDeployment,
  examine,
  mend,
  ownHub: findOwnHub,
  rotateKey,
};

const UNITS: readonly UnitName[] = [
  'federation-hub.service',
  'federation-hub.socket',
  'federation-hub-plugin.socket',
  'auto-register.service',
  'auto-register.path',
  'openclaw-worker.service',
  'openclaw-gateway.service',
];

async function given(facts: Facts): Promise<Given> {
  const release = await releaseFor(PACKAGE_FOLDER, facts);
  const { scope } = facts.place;
  // A person's own systemd hands no socket to another user's hub.
  const names = UNITS.filter((name) => scope === 'system' || !name.endsWith('.socket'));
  const texts = new Map(
    await Promise.all(names.map(async (name) => [name, await readUnitTemplate(scope, name)] as const)),
  );
  return {
    release: { name: release.name, node: nodeIn(release) },
    unit(name) {
      const text = texts.get(name);
      if (text === undefined) throw new Error(`there is no ${scope} unit ${name}`);
      return text;
    },
    policyExample: await readPolicyTemplate(),
    secret: randomBytes(32).toString('hex'),
  };
}

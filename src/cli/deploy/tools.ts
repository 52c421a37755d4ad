import type { Machine } from '#src/adapters/machine/machine.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { OwnHub } from '#src/cli/deploy/own-hub.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import type { Role } from '#src/core/node.ts';
import type { applyPlan } from '#src/deploy/apply.ts';
import type { examine } from '#src/deploy/doctor/doctor.ts';
import type { mend } from '#src/deploy/doctor/mend.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Asked } from '#src/deploy/gather.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import type { rotateKey } from '#src/deploy/rotate-key.ts';
import type { undoDeployment } from '#src/deploy/undo.ts';

/** What the commands do their work with: a test gives others. */
export interface DeployTools {
  /** This machine, or the one that ssh reaches. */
  reach(target: string | null, signal: AbortSignal): Promise<Machine>;
  gather(machine: Machine, asked: Asked, signal: AbortSignal): Promise<Facts>;
  given(facts: Facts): Promise<Given>;
  apply: typeof applyPlan;
  undo: typeof undoDeployment;
  examine: typeof examine;
  mend: typeof mend;
  /** The hub that runs on this machine. */
  ownHub(): Promise<OwnHub | null>;
  rotateKey: typeof rotateKey;
}

/** One call of `deploy-federation ROLE`. */
export interface Deployment {
  readonly machine: Machine;
  readonly role: Role;
  readonly master: HubAddress | null;
  readonly token: string | null;
  /** Of the Telegram bot. */
  readonly botToken: string | null;
  readonly flags: DeployFlags;
  readonly tools: DeployTools;
  readonly signal: AbortSignal;
}

import { asDeployer } from '#src/deploy/as-root.ts';
import type { Plan, Step, UnitName } from '#src/deploy/action.ts';
import { FederationError } from '#src/core/errors.ts';
import { nodeNameFrom } from '#src/core/node.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { folderIn } from '#src/deploy/facts.ts';
import { gatewayPlan } from '#src/deploy/plan/gateway.ts';
import type { Given } from '#src/deploy/plan/given.ts';
import { hubSteps } from '#src/deploy/plan/hub.ts';
import { changes, needed } from '#src/deploy/plan/already.ts';
import { checkMachine } from '#src/deploy/plan/machine.ts';
import { modelsPlan } from '#src/deploy/plan/models.ts';
import { openclawStep } from '#src/deploy/plan/openclaw.ts';
import { programStep } from '#src/deploy/plan/program.ts';
import { tailnetSteps } from '#src/deploy/plan/tailnet.ts';
import { hubOf, isElsewhere, isMember, memberOf, workerSteps } from '#src/deploy/plan/worker.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { execMode } from '#src/deploy/wanted.ts';

/** Of OpenClaw’s settings, which may hold secrets. */
const PRIVATE = 0o600;

/**
 * What has to be done so that the machine becomes what is wanted; a step without actions is already so. Throws what
 * can be known to be wrong before anything is changed: MACHINE_UNSUPPORTED, ROLE_DIFFERS, OPENCLAW_UNSUPPORTED,
 * PORT_IN_USE, SETTINGS_INVALID, HOME_UNUSABLE, TAILNET_DOWN, DISK_FULL.
 */
export function planDeployment(facts: Facts, wanted: Wanted, given: Given): Plan {
  checkMachine(facts, wanted);
  checkRole(facts, wanted);
  checkPerson(facts);
  checkHome(facts);
  const plan = wanted.role === 'master' ? masterPlan(facts, wanted, given) : workerPlan(facts, wanted, given);
  return { ...plan, notes: [...plan.notes, ...notesOn(facts, wanted)] };
}

function masterPlan(facts: Facts, wanted: Wanted, given: Given): Plan {
  if (!wanted.light) checkState(facts);
  const gateway = wanted.light ? null : gatewayPlan(facts, wanted, given);
  const models = modelsPlan(facts, wanted, gateway?.mode ?? PRIVATE);
  return {
    steps: [
      ...tailnetSteps(facts, wanted),
      programStep(facts, given),
      ...(gateway === null ? [] : [openclawStep(facts, wanted, given), ...gateway.steps]),
      ...hubSteps(facts, wanted, given, gateway?.token ?? null),
      ...workerSteps(facts, wanted, given),
      ...models.steps,
    ],
    notes: [...(gateway?.notes ?? []), ...models.notes],
  };
}

function workerPlan(facts: Facts, wanted: Wanted, given: Given): Plan {
  const models = modelsPlan(facts, wanted, facts.gateway.settings?.mode ?? PRIVATE);
  return {
    steps: [
      ...tailnetSteps(facts, wanted),
      ...(isMember(facts) && !isElsewhere(facts, wanted) ? [] : [reachStep(facts, wanted)]),
      programStep(facts, given),
      ...(wanted.light ? [] : [openclawStep(facts, wanted, given)]),
      ...gatewayOffSteps(facts, wanted),
      ...workerSteps(facts, wanted, given),
      ...models.steps,
    ],
    notes: models.notes,
  };
}

function reachStep(facts: Facts, wanted: Wanted): Step {
  const hub = hubOf(facts, wanted);
  const node = { name: wanted.name ?? nodeNameFrom(facts.machine.hostname), role: wanted.role };
  return {
    id: 'reach',
    title: `the hub at ${hub.host} answers`,
    actions: [{ do: 'knock', hub, node, memberOf: memberOf(facts) }],
  };
}

/** A plain worker thinks with the master's gateway: its own is stopped, and comes back when the worker is taken away. */
function gatewayOffSteps(facts: Facts, { role, keepGateway }: Wanted): Step[] {
  const { unit } = facts.gateway;
  if (role !== 'worker' || keepGateway || unit === null) return [];
  if (unit.scope === 'system' && facts.place.scope === 'user') {
    throw new FederationError('SUDO_REFUSED', 'this machine’s gateway is a service that only root can stop', {
      hint: 'deploy with sudo, or leave it: --keep-gateway',
    });
  }
  return [
    { id: 'gateway-off', title: 'this machine’s own gateway is stopped', actions: needed(facts, [stopped(unit)]) },
  ];
}

function stopped(unit: UnitName) {
  return { do: 'unit', unit, want: { enabled: false, active: false }, restart: false } as const;
}

/** Whether something is there that another role, or another person, would stand in the way of. */
function isDeployed(record: Facts['record']): record is DeploymentRecord {
  return record !== null && (record.state === 'applying' || record.state === 'deployed');
}

function checkRole(facts: Facts, { role }: Wanted): void {
  const { record } = facts;
  if (!isDeployed(record) || record.wanted.role === role) return;
  throw new FederationError('ROLE_DIFFERS', `this machine is deployed as ${record.wanted.role}, not as ${role}`, {
    hint: `${asDeployer(facts, 'deploy-federation uninstall')}, then deploy it anew`,
  });
}

/** Their home has the node's key, and what is to be taken back. */
function checkPerson(facts: Facts): void {
  const { record, person } = facts;
  if (!isDeployed(record)) return;
  const before = record.wanted.runAs;
  if (before === null || before === person.name) return;
  throw new FederationError('ROLE_DIFFERS', `this machine is deployed for ${before}, not for ${person.name}`, {
    hint: `${asDeployer(facts, 'deploy-federation uninstall')}, then deploy it anew`,
  });
}

/** Two daemons can't have one home; what runs there may be root's deployment, or started by hand. */
function checkHome(facts: Facts): void {
  const { record, worker, place, person } = facts;
  const home = folderIn(facts, place.workerHome);
  if (home !== null && home.owner !== person.name) throw notTheirs(place.workerHome, home.owner, person.name);
  if ((record !== null && record.state !== 'kept') || worker === null) return;
  throw new FederationError('ALREADY_RUNNING', `a worker daemon runs with ${place.workerHome} already`, {
    hint: 'stop it; where root deployed it: sudo deploy-federation uninstall',
  });
}

/** What is not the person's where they can write may be another thing a moment later: root does nothing about it. */
function checkState(facts: Facts): void {
  const { place, person } = facts;
  const state = folderIn(facts, place.openclawState);
  if (state !== null && state.owner !== person.name) throw notTheirs(place.openclawState, state.owner, person.name);
}

function notTheirs(path: string, owner: string, person: string): FederationError {
  return new FederationError('HOME_UNUSABLE', `${path} belongs to ${owner}, not to ${person}`, {
    hint: 'see what it is, and move it away',
  });
}

function notesOn({ person, gateway }: Facts, wanted: Wanted): string[] {
  const { role, keepGateway } = wanted;
  if (role === 'master') return [];
  const exec = execMode(wanted);
  const notes = [];
  if (exec === 'full') {
    notes.push(`the master may run any command here as ${person.name}; --exec allowlist or --exec off narrows that`);
  }
  if (exec === 'full' && person.uid === 0) notes.push('that is root; --run-as USER takes somebody else');
  if (role === 'worker' && !keepGateway && gateway.unit === null && gateway.listening) {
    notes.push(`a gateway that no service runs listens on port ${gateway.port}; it is left alone`);
  }
  return notes;
}

/** Whether a plan changes anything; its checks are made all the same. */
export function changesNothing({ steps }: Plan): boolean {
  return !steps.some(changes);
}

import { join } from 'node:path/posix';
import { VERSION } from '#src/adapters/version.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Answers } from '#src/deploy/doctor/answers.ts';
import type { FileAnswer } from '#src/deploy/doctor/ask/files.ts';
import type { UnitAnswer } from '#src/deploy/doctor/ask/units.ts';
import type { Deployed } from '#src/deploy/doctor/deployed.ts';
import { deployedOn } from '#src/deploy/doctor/deployed.ts';
import type { Facts } from '#src/deploy/facts.ts';
import type { Change } from './facts.ts';
import { HUB_ID, NODE_ID, merged } from './facts.ts';

export const RUNNING: UnitAnswer = {
  load: 'loaded',
  file: 'enabled',
  active: 'active',
  sub: 'running',
  result: 'success',
  restarts: 0,
  stale: false,
};

/** What is deployed on a machine where something is. */
export function deploymentOf(facts: Facts): Deployed {
  const deployed = deployedOn(facts);
  if (deployed === null) throw new Error('nothing is deployed there');
  return deployed;
}

/** What the machine of these facts answers where nothing is wrong with it. */
export function healthyAnswers(facts: Facts, change: Change<Answers> = {}): Answers {
  const { hub, hubAddresses, homes, units, isMaster } = deploymentOf(facts);
  const answers: Answers = {
    program: { code: 0, stdout: `${VERSION}\n`, stderr: '' },
    tailnet: { expires: null, isExpired: false, online: new Map([[hub.host, true]]) },
    resolved: isMaster ? null : hubAddresses,
    hub: {
      state: 'answers',
      version: VERSION,
      hubId: HUB_ID,
      protocol: { min: 1, max: 1 },
      clockAheadMs: 0,
    },
    worker: {
      pid: 4711,
      id: NODE_ID,
      name: facts.machine.hostname,
      fingerprint: fingerprint(NODE_ID),
      hub: `${hub.host}:${hub.port}`,
      link: 'member',
      held: null,
      problem: null,
      nodeHost: 'off',
      nodeHostProblem: null,
    },
    units: new Map(units.map(({ name }) => [name, RUNNING])),
    files: new Map(homes.map(({ path, owner }) => [path, homeFiles(path, owner)])),
    disks: [{ mountedAt: '/', freeBytes: facts.machine.freeBytes }],
    nodeHostSettings: '',
    federation: isMaster ? { pending: [], nodes: [] } : null,
    plugin: isMaster ? { state: 'answers' } : null,
  };
  return merged(answers, change) as Answers;
}

/** A home and its key as they should be. */
export function homeFiles(path: string, owner: string): readonly FileAnswer[] {
  return [
    { path, mode: 0o700, owner, kind: 'directory' },
    { path: join(path, 'node.key'), mode: 0o600, owner, kind: 'regular file' },
    { path: join(path, 'settings.yaml'), mode: 0o600, owner, kind: 'regular file' },
  ];
}

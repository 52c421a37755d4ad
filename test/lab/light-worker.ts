import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Finished } from './command.ts';
import type { Lab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Snapshot } from './snapshot.ts';
import { differences, takeSnapshot } from './snapshot.ts';
import type { WatchedCommand } from './watched-command.ts';
import { watch } from './watched-command.ts';

/** A machine that becomes a light worker of m1, and is bare again, as often as a test likes. */
export interface LightWorker {
  readonly machine: Machine;
  /** What a bare machine needs, as `--dry-run` has it. */
  readonly steps: readonly PlannedStep[];
  /** Runs `deploy-federation` there, as a person who uses sudo. */
  run(...words: readonly string[]): Promise<Finished>;
  succeed(...words: readonly string[]): Promise<Finished>;
  /** Starts it; `stop` is called as soon as it says `words`. Resolves when it has ended. */
  stopWhen(words: string, argv: readonly string[], stop: (command: WatchedCommand) => unknown): Promise<Finished>;
  /** Words that deploy it, and that take it up. */
  readonly deploy: readonly string[];
  readonly resume: readonly string[];
  /** What is said when that step begins. */
  beginOf(step: PlannedStep): string;
  /** Lets master and tailnet forget it, as the person is told to, and lays a fresh join token down. */
  prepare(): Promise<void>;
  /** Whether it has come so far, seen on the machine itself. */
  isSo(step: PlannedStep): Promise<boolean>;
  expectBare(): Promise<void>;
  /** Whether it is as after a deployment that nothing disturbed. */
  expectDeployed(): Promise<void>;
  /** Whether its daemons run, now and after the next boot, and the master has it. */
  expectMember(): Promise<void>;
  /** Uninstalls it, to bare. */
  takeBack(): Promise<void>;
}

export interface PlannedStep {
  readonly id: string;
  readonly title: string;
}

const HOME = '/home/claw';
const WORKER_HOME = `${HOME}/.openclaw-worker`;
export const PREFIX = '/opt/openclaw-federation';
export const RECORD = `${PREFIX}/deployment/record.json`;
const OF_CLAW = { owner: 'claw', mode: '600' } as const;

/** Deploys it once without any fault, to know how it is then, and takes that back. */
export async function lightWorkerOn(lab: Lab, machine: Machine, name: string): Promise<LightWorker> {
  const master = lab.machine('m1');
  const asClaw = { user: 'claw' } as const;
  await machine.write(`${HOME}/key`, await lab.tailnet.authKey({ tags: ['tag:worker'], reusable: true }), OF_CLAW);
  const deploy = ['worker', 'vps.tail.lab', '--light', '--name', name, ...tailnetFlags(lab), '--token-file', 'token'];
  const run = (...words: readonly string[]) => machine.run(['sudo', 'deploy-federation', ...words], asClaw);

  async function succeed(...words: readonly string[]): Promise<Finished> {
    const finished = await run(...words);
    if (finished.code === 0) return finished;
    throw new Error(`${words.join(' ')}: ended with ${finished.code}:\n${finished.stderr}`);
  }

  async function prepare(): Promise<void> {
    await master.run(['manage-federation', 'revoke', name, '--yes'], asClaw);
    for (const node of await lab.tailnet.nodes()) {
      if (node.name === name || node.name.startsWith(`${name}-`)) await lab.tailnet.deleteNode(node.id);
    }
    const argv = ['manage-federation', 'token', 'create', '--name', name, '--ttl', '1h'];
    await machine.write(`${HOME}/token`, await master.succeed(argv, asClaw), OF_CLAW);
  }

  const look = async () => new Map([...(await takeSnapshot(machine))].filter(([path]) => path !== `${HOME}/token`));

  await prepare();
  const bare = await look();
  const { stdout } = await succeed(...deploy, '--dry-run', '--json');
  const { steps } = JSON.parse(stdout) as { readonly steps: readonly PlannedStep[] };
  await succeed(...deploy, '--yes');
  const deployed = await look();
  const record = await recordOf(machine);

  const worker: LightWorker = {
    machine,
    steps,
    deploy: [...deploy, '--yes'],
    resume: ['worker', '--resume', '--token-file', 'token', '--yes'],
    run,
    succeed,
    prepare,
    async stopWhen(words, argv, stop) {
      const command = await watch(lab, machine, ['sudo', 'deploy-federation', ...argv], asClaw);
      await command.says(words);
      await stop(command);
      return command.ended;
    },
    beginOf(step) {
      const before = steps[steps.indexOf(step) - 1];
      return before === undefined ? `...     ${step.title}` : `done    ${before.title}`;
    },
    async isSo({ id }) {
      const sign = SIGNS[id];
      if (sign === undefined) return true;
      if (typeof sign !== 'string') return (await machine.run(sign)).code === 0;
      return lstatSync(join(machine.root, sign), { throwIfNoEntry: false }) !== undefined;
    },
    async expectBare() {
      expect(differences(bare, await look())).toEqual(new Map());
      expect(existsSync(join(machine.root, PREFIX))).toBe(false);
    },
    async expectDeployed() {
      expect(differences(lasting(deployed), lasting(await look()))).toEqual(new Map());
      expect(await recordOf(machine)).toEqual(record);
      await worker.expectMember();
    },
    async expectMember() {
      expect(await stateOfUnits(machine)).toBe('active\nactive\nenabled\nenabled\n');
      const listed = await master.succeed(['manage-federation', 'list', '--json'], asClaw);
      expect(JSON.parse(listed)).toContainEqual(expect.objectContaining({ name, state: 'online' }));
    },
    async takeBack() {
      await succeed('uninstall', '--yes');
      await worker.expectBare();
    },
  };
  await worker.takeBack();
  return worker;
}

/** For the flags that bring a machine into the lab's tailnet. */
export function tailnetFlags(lab: Lab): string[] {
  const { loginServer } = lab.tailnet;
  return ['--auth-key-file', 'key', '--login-server', loginServer, '--tailscale-base-url', lab.tailscaleBaseUrl];
}

/** What is there, or answers, when a step is done. */
const SIGNS: Readonly<Record<string, string | readonly string[]>> = {
  tailscale: '/usr/sbin/tailscaled',
  tailnet: ['sh', '-c', 'tailscale status --json | grep -q \'"BackendState": "Running"\''],
  program: `${PREFIX}/current`,
  'worker-home': `${WORKER_HOME}/settings.yaml`,
  // The worker takes the one away when it has become the other.
  'join-token': ['sh', '-c', 'test -e "$0/join-token" || test -e "$0/hub"', WORKER_HOME],
  worker: ['systemctl', 'is-active', '--quiet', 'openclaw-worker'],
};

/** Without what no two deployments have in common: keys, and what a daemon keeps while it runs. */
export function lasting(snapshot: Snapshot): Snapshot {
  const files = ['node.key', 'models.key', 'worker.json', 'worker.lock', 'epoch'];
  const own = [RECORD, ...files.map((file) => `${WORKER_HOME}/${file}`)];
  return new Map(
    [...snapshot].flatMap(([path, state]) => {
      if (/^\/var\/(?:lib|cache)\/tailscale\//.test(path)) return [];
      return [[path, own.includes(path) ? state.replace(/ [0-9a-f]{64}$/, '') : state] as const];
    }),
  );
}

/** What of the record decides how the machine is after uninstall: each thing, and how it was before. */
async function recordOf(machine: Machine): Promise<unknown> {
  const { state, entries } = JSON.parse(await machine.read(RECORD)) as {
    readonly state: string;
    readonly entries: readonly { readonly key: string; readonly before: unknown }[];
  };
  // Its prefix is there by the record that is in it. tailscaled may start still, or need a login: both are outside.
  const ours = entries.filter(({ key }) => key !== `folder ${PREFIX}`);
  const before = ours.map((entry) => [entry.key, entry.key === 'tailnet' ? null : entry.before] as const);
  return { state, before: new Map(before.toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

async function stateOfUnits(machine: Machine): Promise<string> {
  const units = ['openclaw-worker', 'tailscaled'];
  const active = await machine.run(['systemctl', 'is-active', ...units]);
  const enabled = await machine.run(['systemctl', 'is-enabled', ...units]);
  return active.stdout + enabled.stdout;
}

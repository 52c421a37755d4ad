import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import type { Finished } from './command.ts';
import { describeLab } from './describe-lab.ts';
import type { Lab } from './lab.ts';
import { openLab } from './lab.ts';
import type { Machine } from './machine.ts';
import type { Snapshot } from './snapshot.ts';
import { differences, takeSnapshot } from './snapshot.ts';
import type { WatchedCommand } from './watched-command.ts';
import { watch } from './watched-command.ts';

const DEPLOYED = 600_000;
const RECORD = '/opt/openclaw-federation/deployment/record.json';
const WORKER_HOME = '/home/claw/.openclaw-worker';

interface PlannedStep {
  readonly id: string;
  readonly title: string;
}

/** Steps build on each other: m1 is the master of all; m2 and m3 are bare before each test, and after it. */
describeLab('deploying a light worker on a machine where something goes wrong', 'tailnet', () => {
  let lab: Lab;
  let master: Machine;
  let worker: Machine;
  let bare: Snapshot;
  let reference: Snapshot;
  let steps: readonly PlannedStep[];

  beforeAll(async () => {
    lab = await openLab({ machines: 3 });
    master = lab.machine('m1');
    worker = lab.machine('m2');
    for (const machine of [master, worker]) await lab.installPackage(machine);
    await master.write('/home/claw/key', await lab.tailnet.authKey({ tags: ['tag:master'] }), OF_CLAW);
    await worker.write('/home/claw/key', await lab.tailnet.authKey({ tags: ['tag:worker'], reusable: true }), OF_CLAW);
    const argv = ['sudo', 'deploy-federation', 'master', '--light', '--name', 'vps', ...tailnetFlags(), '--yes'];
    await master.succeed(argv, { user: 'claw' });
    await freshToken();
    bare = withoutToken(await takeSnapshot(worker));
    const planned = await worker.succeed([...deployArgv(), '--dry-run', '--json'], { user: 'claw' });
    ({ steps } = JSON.parse(planned) as { readonly steps: readonly PlannedStep[] });
    await worker.succeed([...deployArgv(), '--yes'], { user: 'claw' });
    reference = await takeSnapshot(worker);
    await takeBack(worker);
  }, DEPLOYED);
  afterAll(() => lab.close());

  const tailnetFlags = () => [
    ...['--auth-key-file', '/home/claw/key', '--login-server', lab.tailnet.loginServer],
    ...['--tailscale-base-url', lab.tailscaleBaseUrl],
  ];

  const deployArgv = (...more: readonly string[]) => [
    ...['sudo', 'deploy-federation', 'worker', 'vps.tail.lab', '--light', '--name', 'w', ...tailnetFlags()],
    ...['--token-file', '/home/claw/token', ...more],
  ];
  const RESUME = ['sudo', 'deploy-federation', 'worker', '--resume', '--token-file', '/home/claw/token', '--yes'];

  async function freshToken(): Promise<void> {
    const argv = ['manage-federation', 'token', 'create', '--name', 'w', '--ttl', '1h'];
    await worker.write('/home/claw/token', await master.succeed(argv, { user: 'claw' }), OF_CLAW);
  }

  /** Uninstalls, and lets master and tailnet forget the node too, as the person is told to. */
  async function takeBack(machine: Machine): Promise<void> {
    await machine.succeed(['sudo', 'deploy-federation', 'uninstall', '--yes'], { user: 'claw' });
    await forget();
    expect(differences(bare, withoutToken(await takeSnapshot(machine)))).toEqual(new Map());
  }

  async function forget(): Promise<void> {
    await master.run(['manage-federation', 'revoke', 'w', '--yes'], { user: 'claw' });
    for (const { id, name } of await lab.tailnet.nodes()) if (name !== 'vps') await lab.tailnet.deleteNode(id);
  }

  async function stopAt(step: PlannedStep, stop: (command: WatchedCommand) => void | Promise<void>): Promise<Finished> {
    const command = await watch(lab, worker, deployArgv('--yes'), { user: 'claw' });
    const before = steps[steps.indexOf(step) - 1];
    await command.says(before === undefined ? `...     ${step.title}` : `done    ${before.title}`);
    await stop(command);
    return command.ended;
  }

  async function expectReference(): Promise<void> {
    expect(differences(comparable(reference), comparable(await takeSnapshot(worker)))).toEqual(new Map());
  }

  it(
    'a deployment that failed at any step is taken up, and ends as one that did not',
    async () => {
      for (const step of steps) {
        await freshToken();
        const start = performance.now();
        const { code, stderr } = await stopAt(step, (command) => command.signal('SIGINT'));
        const cut = performance.now();
        process.stderr.write(
          `${step.id}: ${Math.round(cut - start)} ms\n${stderr
            .split('\n')
            .filter((line) => /^(done:|not done:|error|  try|to go)/.test(line))
            .join('\n')}\n`,
        );
        expect(code).toBe(130);
        await worker.succeed(RESUME, { user: 'claw' });
        const done = performance.now();
        await expectReference();
        const compared = performance.now();
        await takeBack(worker);
        process.stderr.write(
          `resume ${Math.round(done - cut)} compare ${Math.round(compared - done)} back ${Math.round(performance.now() - compared)} ms\n`,
        );
      }
    },
    DEPLOYED,
  );
});

const OF_CLAW = { owner: 'claw', mode: '600' } as const;

/** Without what differs from one deployment to the next: keys, and what a daemon keeps while it runs. */
function comparable(snapshot: Snapshot): Snapshot {
  const own = [RECORD, ...['node.key', 'worker.json', 'worker.lock', 'epoch'].map((name) => `${WORKER_HOME}/${name}`)];
  return new Map(
    [...withoutToken(snapshot)].flatMap(([path, state]) => {
      if (/^\/var\/(?:lib|cache)\/tailscale\//.test(path)) return [];
      return [[path, own.includes(path) ? state.replace(/ [0-9a-f]{64}$/, '') : state] as const];
    }),
  );
}

function withoutToken(snapshot: Snapshot): Snapshot {
  return new Map([...snapshot].filter(([path]) => path !== '/home/claw/token'));
}

import type { Finished } from '../../lab/command.ts';
import type { Lab } from '../../lab/lab.ts';
import { tailnetFlags } from '../../lab/light-worker.ts';
import type { Machine } from '../../lab/machine.ts';
import { operatorOn } from '../../lab/operator.ts';
import { seconds } from './seconds.ts';

/** A machine that becomes a worker of m1 as often as a figure likes. All times are in seconds. */
export interface Member {
  readonly machine: Machine;
  /** From its command on a bare machine until it can be used from the master. */
  deploy(): Promise<number>;
  /** The same command where there is nothing to change. */
  deployAgain(): Promise<number>;
  /** From the order to reboot until it can be used again. */
  reboot(): Promise<number>;
  /** From the moment on at which every packet of it is lost until the master tells that it is not online. */
  lose(): Promise<number>;
  /** Deploys it where it is not, and waits until it can be used. */
  untilUsable(): Promise<void>;
}

const CLAW = { user: 'claw' } as const;
const OF_CLAW = { owner: 'claw', mode: '600' } as const;
const HOME = '/home/claw';

export interface MemberOptions {
  readonly name: string;
  /** Whether it runs no OpenClaw. */
  readonly light: boolean;
}

export function memberOn(lab: Lab, machine: Machine, { name, light }: MemberOptions): Member {
  const operator = operatorOn(lab.machine('m1'));
  const words = [
    'worker',
    'vps.tail.lab',
    '--name',
    name,
    ...(light ? ['--light'] : []),
    ...tailnetFlags(lab),
    '--yes',
  ];
  let isDeployed = false;

  const untilUsable = async (): Promise<void> =>
    void (await operator.untilUsable(name, machine, light ? 'none' : 'connected'));

  /** Everybody forgets it, and what its next deployment asks for is laid down. */
  async function prepare(): Promise<void> {
    if (isDeployed) {
      expectDone(await machine.run(['sudo', 'deploy-federation', 'uninstall', '--yes'], CLAW));
      expectDone(await operator.manage(['revoke', name, '--yes']));
      for (const node of await lab.tailnet.nodes()) if (node.name === name) await lab.tailnet.deleteNode(node.id);
      isDeployed = false;
    }
    await machine.write(`${HOME}/key`, await lab.tailnet.authKey({ tags: ['tag:worker'] }), OF_CLAW);
    await machine.write(`${HOME}/token`, await operator.token(name), OF_CLAW);
  }

  async function run(...more: readonly string[]): Promise<Finished> {
    const finished = await machine.run(['sudo', 'deploy-federation', ...words, ...more], CLAW);
    expectDone(finished);
    return finished;
  }

  const member: Member = {
    machine,
    async deploy() {
      await prepare();
      return seconds(async () => {
        await run('--token-file', 'token');
        isDeployed = true;
        await untilUsable();
      });
    },
    deployAgain: () =>
      seconds(async () => {
        const { stderr } = await run();
        if (!stderr.includes('nothing to change\n'))
          throw new Error(`the second run has changed something:\n${stderr}`);
      }),
    reboot: () =>
      seconds(async () => {
        await machine.reboot();
        await untilUsable();
      }),
    async lose() {
      await machine.cut();
      try {
        return await seconds(() => operator.untilLost(name));
      } finally {
        await machine.restore();
      }
    },
    async untilUsable() {
      if (!isDeployed) await member.deploy();
      else await untilUsable();
    },
  };
  return member;
}

function expectDone({ code, stderr }: Finished): void {
  if (code !== 0) throw new Error(`it ended with ${code}:\n${stderr}`);
}

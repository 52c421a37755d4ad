import type { Lab } from '../../lab/lab.ts';
import { openLab } from '../../lab/lab.ts';
import { tailnetFlags } from '../../lab/light-worker.ts';
import { operatorOn } from '../../lab/operator.ts';
import type { BareMachine } from './bare.ts';
import { bareMachine } from './bare.ts';
import type { Member } from './member.ts';
import { memberOn } from './member.ts';

/** What is measured on: a master, two workers that are not deployed yet, and a machine with nothing of ours. */
export interface Stage {
  readonly full: Member;
  readonly light: Member;
  readonly bare: BareMachine;
  close(): Promise<void>;
}

const OF_CLAW = { owner: 'claw', mode: '600' } as const;

export async function openStage(): Promise<Stage> {
  const lab = await openLab({ machines: 4 });
  try {
    return await build(lab);
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function build(lab: Lab): Promise<Stage> {
  const [m1, m2, m3, m4] = ['m1', 'm2', 'm3', 'm4'].map((name) => lab.machine(name)) as [never, never, never, never];
  for (const machine of [m1, m2, m4]) await lab.installPackage(machine);
  await lab.machine('m1').write('/home/claw/key', await lab.tailnet.authKey({ tags: ['tag:master'] }), OF_CLAW);
  const argv = ['sudo', 'deploy-federation', 'master', '--name', 'vps', ...tailnetFlags(lab), '--yes'];
  await lab.machine('m1').succeed(argv, { user: 'claw' });
  await operatorOn(m1).untilUp('vps');
  return {
    full: memberOn(lab, m2, { name: 'home-server', light: false }),
    light: memberOn(lab, m4, { name: 'pi', light: true }),
    bare: await bareMachine(lab, m3),
    close: () => lab.close(),
  };
}

import type { Figure, Sides } from '../figure.ts';
import { atMost, median } from '../figure.ts';
import type { Stage } from './stage.ts';

/** A figure of real machines. What takes long is measured once: machines that wait for one another are steady. */
export interface LabFigure extends Omit<Figure, 'open' | 'unit' | 'warmUps'> {
  open(stage: Stage): Promise<Sides>;
}

const usable = (limit: number): Figure['lines'] => [{ name: 'usable', of: median, bar: atMost(limit, 's') }];

const worker: LabFigure = {
  name: 'worker',
  what: 'a worker with OpenClaw, from its command until it is usable; floor: npm installs OpenClaw, a node host starts',
  samples: 1,
  lines: usable(60),
  open: async ({ full, bare }) => ({
    ours: () => full.deploy(),
    floor: async () => (await bare.installOpenClaw()) + (await bare.startNodeHost()),
  }),
};

const light: LabFigure = {
  name: 'light',
  what: 'the same without OpenClaw; floor: Tailscale is fetched and let in, a release unpacked, a unit of it started',
  samples: 3,
  lines: usable(10),
  open: async (stage) => ({ ours: () => stage.light.deploy(), floor: () => stage.bare.startRelease() }),
};

const again: LabFigure = {
  name: 'again',
  what: 'a second run on a worker with OpenClaw, which changes nothing; floor: the command line says its version',
  samples: 3,
  lines: [{ name: 'ended', of: median, bar: atMost(5, 's') }],
  async open({ full, bare }) {
    await full.untilUsable();
    return { ours: () => full.deployAgain(), floor: () => bare.startCommand() };
  },
};

const reboot: LabFigure = {
  name: 'reboot',
  what: 'a worker with OpenClaw, from its reboot until it is usable; floor: a bare machine’s reboot, a node host starts',
  samples: 3,
  lines: usable(30),
  async open({ full, bare }) {
    await bare.installOpenClaw();
    await full.untilUsable();
    return {
      ours: () => full.reboot(),
      floor: async () => (await bare.reboot()) + (await bare.startNodeHost()),
    };
  },
};

const lightReboot: LabFigure = {
  name: 'light-reboot',
  what: 'the same without OpenClaw; floor: a bare machine’s reboot, until systemd has started all',
  samples: 3,
  lines: usable(5),
  async open(stage) {
    await stage.light.untilUsable();
    return { ours: () => stage.light.reboot(), floor: () => stage.bare.reboot() };
  },
};

const loss: LabFigure = {
  name: 'loss',
  what: 'a worker whose packets are lost, until its master tells so; floor: until a ping has no answer for a second',
  samples: 3,
  lines: [{ name: 'noticed', of: median, bar: atMost(15, 's') }],
  async open(stage) {
    const { machine } = stage.light;
    const afterwards = async (sample: Promise<number>): Promise<number> => {
      const took = await sample;
      await stage.light.untilUsable();
      return took;
    };
    await stage.light.untilUsable();
    return { ours: () => afterwards(stage.light.lose()), floor: () => afterwards(stage.bare.lose(machine)) };
  },
};

export const LAB_FIGURES: readonly LabFigure[] = [worker, light, again, reboot, lightReboot, loss];

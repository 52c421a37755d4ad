import { commandRunner, linked, startHub, WORKER, workerHome } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMost, atMostTimes, median, percentile } from '../figure.ts';
import { startHelper } from '../helper.ts';

/** The hub is the installed package, the worker daemon runs in the process that also starts the bare ones. */
export const exec: Figure = {
  name: 'exec',
  unit: 'ms',
  what: '/bin/true through the hub’s API; floor: child_process.spawn with pipes in the worker’s own process',
  // A daemon runs for weeks: its code is to be compiled before we look.
  warmUps: 1500,
  samples: 1000,
  lines: [
    { name: 'p50', of: median, bar: atMostTimes(2) },
    { name: 'p99', of: percentile(0.99), bar: atMost(10, 'ms') },
  ],
  async open(bench) {
    const hub = await startHub(bench);
    const home = await workerHome(bench, hub);
    const { address, port } = hub.client.record;
    const worker = await startHelper(bench, 'worker', [home, WORKER, `${address}:${port}`]);
    await worker.next();
    await linked(home);
    const run = commandRunner(bench, hub);
    return {
      async ours() {
        const startedAt = performance.now();
        await run(['/bin/true']);
        return performance.now() - startedAt;
      },
      async floor() {
        worker.say('spawn');
        return Number(await worker.next());
      },
    };
  },
};

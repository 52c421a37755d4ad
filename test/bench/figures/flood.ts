import type { Bench } from '../bench.ts';
import type { StartedHub } from '../federation.ts';
import { commandRunner, startHub, startWorker } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMostTimes, median, percentile } from '../figure.ts';
import { startHelper } from '../helper.ts';

const CAP = 1000;
/** Commands in a sample: so many that a stop of the hub between two of them shows. */
const COMMANDS = 10;

/** Two hubs, each with a worker of its own; those who ask rest while the one is measured that nobody asks. */
export const flood: Figure = {
  name: 'flood',
  unit: 'ms',
  what: `/bin/true on a member while ${CAP} strangers wait and others ask as fast as the hub hears them; floor: of a hub that nobody asks`,
  warmUps: 10,
  samples: 40,
  lines: [
    { name: 'p50', of: median, bar: atMostTimes(2) },
    { name: 'p95', of: percentile(0.95), bar: null },
  ],
  async open(bench) {
    const quiet = await startHub(bench);
    const asked = await startHub(bench, `hub: { pendingMax: ${CAP}, pendingPerSource: ${CAP} }\n`);
    const runs = [await commands(bench, quiet), await commands(bench, asked)] as const;
    const { port, hubId } = asked.client.record;
    const strangers = await startHelper(bench, 'strangers', [port, hubId, CAP]);
    await strangers.next();
    return {
      floor: runs[0],
      async ours() {
        strangers.say('ask');
        await strangers.next();
        const took = await runs[1]();
        strangers.say('rest');
        await strangers.next();
        return took;
      },
    };
  },
};

/** Milliseconds of a command, on average. */
async function commands(bench: Bench, hub: StartedHub): Promise<() => Promise<number>> {
  await startWorker(bench, hub);
  const run = commandRunner(bench, hub);
  return async () => {
    const startedAt = performance.now();
    for (let count = 0; count < COMMANDS; count++) await run(['/bin/true']);
    return (performance.now() - startedAt) / COMMANDS;
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import { startHub, startWorker } from '../federation.ts';
import type { Figure, Sides } from '../figure.ts';
import { atMost, median } from '../figure.ts';
import { startBare } from '../helper.ts';
import { memoryOf, SETTLE_MS } from '../memory.ts';

const SAMPLES = { unit: 'MB', warmUps: 0, samples: 5 } as const;

export const workerMemory: Figure = {
  ...SAMPLES,
  name: 'worker-memory',
  what: 'PSS of an idle, light, linked worker daemon (installed package); floor: a bare process with one bare link',
  lines: [{ name: 'PSS', of: median, bar: atMost(90, 'MB') }],
  open: (bench) => open(bench, 'Pss'),
};

/** For information: other Nodes that run take their part of the program's pages from the PSS. */
export const workerAlone: Figure = {
  ...SAMPLES,
  name: 'worker-alone',
  what: 'the same as RSS: what it takes where no other Node runs',
  lines: [{ name: 'RSS', of: median, bar: null }],
  open: (bench) => open(bench, 'Rss'),
};

async function open(bench: Bench, measure: 'Pss' | 'Rss'): Promise<Sides> {
  const bareHub = await startBare(bench, 'bare-hub', []);
  const bare = await startBare(bench, 'bare-nodes', [await bareHub.next(), 1]);
  await bare.next();
  const worker = await startWorker(bench, await startHub(bench));
  await sleep(SETTLE_MS);
  return { ours: () => memoryOf(worker.pid, measure), floor: () => memoryOf(bare.pid, measure) };
}

import { setTimeout as sleep } from 'node:timers/promises';
import { startHub, startWorker } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMost, median } from '../figure.ts';
import { startBare } from '../helper.ts';
import { pss, SETTLE_MS } from '../memory.ts';

export const workerMemory: Figure = {
  name: 'worker-memory',
  unit: 'MB',
  what: 'PSS of an idle, light, linked worker daemon (installed package); floor: a bare process with one bare link',
  warmUps: 0,
  samples: 5,
  lines: [{ name: 'PSS', of: median, bar: atMost(90, 'MB') }],
  async open(bench) {
    const bareHub = await startBare(bench, 'bare-hub', []);
    const bare = await startBare(bench, 'bare-nodes', [await bareHub.next(), 1]);
    await bare.next();
    const worker = await startWorker(bench, await startHub(bench));
    await sleep(SETTLE_MS);
    return { ours: () => pss(worker.pid), floor: () => pss(bare.pid) };
  },
};

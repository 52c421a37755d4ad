import { setTimeout as sleep } from 'node:timers/promises';
import { startHub } from '../federation.ts';
import type { Figure } from '../figure.ts';
import { atMostAbove, median } from '../figure.ts';
import { startBare, startHelper } from '../helper.ts';
import { memoryOf, SETTLE_MS } from '../memory.ts';

const LINKS = 1000;

export const hubMemory: Figure = {
  name: 'hub-memory',
  unit: 'MB',
  what: 'PSS of a hub with 1000 idle links (installed package); floor: 1000 bare HTTP/2 sessions on upgraded sockets',
  warmUps: 0,
  samples: 5,
  lines: [{ name: 'PSS', of: median, bar: atMostAbove(60, 'MB') }],
  async open(bench) {
    const bare = await startBare(bench, 'bare-hub', []);
    const bareNodes = await startBare(bench, 'bare-nodes', [await bare.next(), LINKS]);
    await bareNodes.next();
    const hub = await startHub(bench);
    const nodes = await startHelper(bench, 'nodes', [hub.client.record.port, LINKS]);
    nodes.say(await hub.token({ uses: LINKS }));
    await nodes.next();
    await sleep(SETTLE_MS);
    return { ours: () => memoryOf(hub.pid, 'Pss'), floor: () => memoryOf(bare.pid, 'Pss') };
  },
};

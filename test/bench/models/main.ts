import { installPackage } from '../installed.ts';
import { runBench } from '../program.ts';
import { BESIDE_PORTKEY, FIGURES } from './figures.ts';
import { installPortkey, PORTKEY } from './portkey.ts';
import type { Stage } from './stage.ts';
import { openStage } from './stage.ts';

/** What all figures use, as soon as it is there. */
const found: { stage: Stage | null; portkey: string | null } = { stage: null, portkey: null };

function stage(): Stage {
  if (found.stage === null) throw new Error('nothing is open yet');
  return found.stage;
}

await runBench({
  name: 'bench-models',
  description: 'Measures what proxies add on the way to a model, each figure against its floor on this machine, now.',
  figures: [
    ...FIGURES.map((figure) => ({ ...figure, open: async () => figure.open(stage()) })),
    ...BESIDE_PORTKEY.map((figure) => ({
      ...figure,
      obstacle: () => (found.portkey === null ? `npm can't install ${PORTKEY} here` : null),
      open: async () => figure.open(stage()),
    })),
  ],
  patientMs: 30_000,
  longestMs: 175_000,
  async install(folder, signal) {
    const [installed, portkey] = await Promise.all([installPackage(folder, signal), installPortkey(folder, signal)]);
    found.portkey = portkey;
    return installed;
  },
  async open(bench) {
    found.stage = await openStage(bench, found.portkey);
  },
});

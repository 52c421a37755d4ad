import { FederationError } from '#src/core/errors.ts';
import { findObstacles } from '../../lab/obstacles.ts';
import { prepareLab } from '../../lab/prepare.ts';
import { makeProduct } from '../../lab/product.ts';
import { runBench } from '../program.ts';
import { LAB_FIGURES } from './figures.ts';
import type { Stage } from './stage.ts';
import { openStage } from './stage.ts';

/** Opened for the first figure. */
const opened: { stage: Stage | null } = { stage: null };

try {
  await runBench({
    name: 'bench-lab',
    description: 'Measures what is promised of real machines, each figure against its floor on this host, now.',
    figures: LAB_FIGURES.map((figure) => ({
      ...figure,
      unit: 's' as const,
      warmUps: 0,
      open: async () => figure.open((opened.stage ??= await openStage())),
    })),
    patientMs: 900_000,
    longestMs: 2_400_000,
    install,
  });
} finally {
  await opened.stage?.close();
}

/** Throws MACHINE_UNSUPPORTED where this host can't run machines in a tailnet. */
async function install(): Promise<string> {
  const obstacles = await findObstacles();
  await prepareLab(obstacles);
  if (obstacles.tailnet !== null) {
    throw new FederationError('MACHINE_UNSUPPORTED', obstacles.tailnet, { hint: 'see “Run it” in CONTRIBUTING.md' });
  }
  return makeProduct();
}

import { makeAuthority } from './authority.ts';
import { makeBase } from './base.ts';
import { installPrograms } from './host.ts';
import { makeRegistry } from './lab.ts';
import type { Obstacles } from './obstacles.ts';
import { sweepRuns } from './run-folder.ts';
import { makeLabKey } from './ssh.ts';
import { makeTailscaleTarball } from './tailscale-tarball.ts';

/** Builds once what all labs stand on, as far as this host can run it, and removes what an interrupted run left. */
export async function prepareLab(obstacles: Obstacles): Promise<void> {
  for (const [part, obstacle] of Object.entries(obstacles))
    if (obstacle !== null) warn(`${part}: not run: ${obstacle}`);
  if (obstacles.machines !== null) return;
  await step('programs of the host', installPrograms);
  await step('leftovers', sweepRuns);
  await makeAuthority();
  await makeLabKey();
  await Promise.all([
    step('base', makeBase),
    step('packages', makeRegistry),
    obstacles.tailnet === null ? step('programs of the tailnet', makeTailscaleTarball) : null,
  ]);
}

async function step(name: string, build: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await build();
  const seconds = (performance.now() - start) / 1000;
  if (seconds > 1) warn(`${name}: ${seconds.toFixed(1)} s`);
}

function warn(words: string): void {
  process.stderr.write(`lab: ${words}\n`);
}

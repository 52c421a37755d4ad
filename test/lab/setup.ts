import type { TestProject } from 'vitest/node';
import { makeAuthority } from './authority.ts';
import { makeBase } from './base.ts';
import { installPrograms } from './host.ts';
import { makeRegistry } from './lab.ts';
import type { Obstacles } from './obstacles.ts';
import { findObstacles } from './obstacles.ts';
import { sweepRuns } from './run-folder.ts';
import { makeLabKey } from './ssh.ts';
import { makeTailscaleTarball } from './tailscale-tarball.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    obstacles: Obstacles;
  }
}

/** Builds once what all labs stand on, and removes what an interrupted run left. */
export async function setup(project: TestProject): Promise<void> {
  const obstacles = await findObstacles();
  project.provide('obstacles', obstacles);
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

export async function teardown(): Promise<void> {
  if (process.getuid?.() === 0) await sweepRuns();
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

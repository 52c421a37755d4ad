import type { TestProject } from 'vitest/node';
import type { Obstacles } from './obstacles.ts';
import { findObstacles } from './obstacles.ts';
import { prepareLab } from './prepare.ts';
import { sweepRuns } from './run-folder.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    obstacles: Obstacles;
  }
}

export async function setup(project: TestProject): Promise<void> {
  const obstacles = await findObstacles();
  project.provide('obstacles', obstacles);
  await prepareLab(obstacles);
}

export async function teardown(): Promise<void> {
  if (process.getuid?.() === 0) await sweepRuns();
}

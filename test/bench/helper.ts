import { join } from 'node:path';
import type { Bench } from './bench.ts';
import type { StartedProcess } from './process.ts';

type Args = readonly (string | number)[];

/** Starts a program of `processes/`. */
export function startHelper(
  bench: Bench,
  name:
    | 'handoff-floor'
    | 'link-node'
    | 'model-floor'
    | 'model-floor-hub'
    | 'model-floor-node'
    | 'model-upstream'
    | 'nodes'
    | 'strangers'
    | 'worker',
  args: Args,
): Promise<StartedProcess> {
  const script = join(import.meta.dirname, 'processes', `${name}.ts`);
  return bench.start({ name, program: process.execPath, args: ['--conditions=federation-source', script, ...args] });
}

/** Starts a compiled one: what strips the types at the start of a process would count as its memory. */
export function startBare(bench: Bench, name: 'bare-hub' | 'bare-nodes', args: Args): Promise<StartedProcess> {
  const script = join(bench.installed, 'bare', `${name}.js`);
  return bench.start({ name, program: process.execPath, args: [script, ...args] });
}

import { join } from 'node:path';
import type { Bench } from './bench.ts';
import type { StartedProcess } from './process.ts';

/** Those of `.js` are plain: what strips types at the start of a process would count as its memory. */
type Helper = 'bare-hub.js' | 'bare-nodes.js' | 'link-node.ts' | 'nodes.ts' | 'worker.ts';

/** Starts a program of `processes/`. */
export function startHelper(bench: Bench, name: Helper, args: readonly (string | number)[]): Promise<StartedProcess> {
  return bench.start({
    name,
    script: join(import.meta.dirname, 'processes', name),
    args: args.map(String),
    nodeFlags: name.endsWith('.ts') ? ['--conditions=source'] : [],
  });
}

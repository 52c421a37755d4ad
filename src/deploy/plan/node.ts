import { dirname, join } from 'node:path/posix';
import type { Facts, ProgramFact } from '#src/deploy/facts.ts';
import { runsOpenClaw } from '#src/deploy/openclaw-version.ts';
import type { Given } from '#src/deploy/plan/given.ts';

/**
 * The machine's own Node, where it is good enough for OpenClaw and for every process that is to run it: a unit of the
 * system can't see one in somebody's home. Null: ours goes along.
 */
export function machineNode({ node, place, person }: Pick<Facts, 'node' | 'place' | 'person'>): ProgramFact | null {
  if (node === null || !runsOpenClaw(node.version)) return null;
  const isPersonal = [person.home, '/home', '/root'].some((folder) => node.program.startsWith(`${folder}/`));
  return place.scope === 'system' && isPersonal ? null : node;
}

/** Folder of the Node that the units run. */
export function nodeFolder(facts: Facts, { release }: Given): string {
  if (release.node !== null) return join(facts.place.current, dirname(release.node));
  return dirname(machineNode(facts)?.program ?? '/usr/bin/node');
}

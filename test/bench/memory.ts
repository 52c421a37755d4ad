import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Time in which a process that was just busy gives back what it does not need. */
export const SETTLE_MS = 4000;
const BETWEEN_MS = 200;

/**
 * Memory of a process in MB (10^6 bytes). `Pss`: what only it has, and its part of what it shares with every process
 * that runs now, other Nodes among them. `Rss`: all of both, which is what it takes on a machine with no other Node.
 */
export async function memoryOf(pid: number, measure: 'Pss' | 'Rss'): Promise<number> {
  await sleep(BETWEEN_MS);
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const found = new RegExp(`^${measure}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  if (found === undefined) throw new Error(`the system does not tell the ${measure} of a process`);
  return (Number(found) * 1024) / 1e6;
}

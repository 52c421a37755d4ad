import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Time in which a process that was just busy gives back what it does not need. */
export const SETTLE_MS = 4000;
const BETWEEN_MS = 200;

/**
 * Proportional set size in MB (10^6 bytes): memory that only it has, and its part of what it shares. Of two processes
 * of one Node each is thus charged with half of the program; both sides of a figure are, so long as both live.
 */
export async function pss(pid: number): Promise<number> {
  await sleep(BETWEEN_MS);
  return field(pid, 'Pss');
}

function field(pid: number, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  if (found === null) throw new Error(`the system does not tell the ${name} of a process`);
  return (Number(found[1]) * 1024) / 1e6;
}

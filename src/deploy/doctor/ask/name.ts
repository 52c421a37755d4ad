import { isIP } from 'node:net';
import type { Machine } from '#src/adapters/machine/machine.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';

/** The addresses that the machine's own resolver has for a name; null for what needs none, or where it can't be asked. */
export async function askName(machine: Machine, host: string, signal: AbortSignal): Promise<readonly string[] | null> {
  if (isIP(host) !== 0 || host === 'localhost') return null;
  const ran = await look(machine, { argv: ['getent', 'ahosts', host], as: 'login', signal });
  if (ran === null) return null;
  const words = ran.stdout.split('\n').map((line) => line.split(/\s/, 1)[0] ?? '');
  return [...new Set(words.filter((word) => isIP(word) !== 0))];
}

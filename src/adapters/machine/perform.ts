import { FederationError } from '#src/core/errors.ts';
import type { Command, Machine, Ran } from '#src/adapters/machine/machine.ts';

export interface Purpose {
  /** What could not be done, after “can’t”: `write /etc/x`. */
  readonly what: string;
  readonly hint?: string;
}

const LAST_LINES = 5;

/** Runs a program that has to succeed. Throws DISK_FULL, STEP_FAILED with its last words, and what `run` throws. */
export async function perform(machine: Machine, command: Command, { what, hint }: Purpose): Promise<Ran> {
  const ran = await machine.run(command);
  if (ran.code === 0) return ran;
  if (isDiskFull(`${ran.stderr}${ran.stdout}`)) {
    throw new FederationError('DISK_FULL', `can’t ${what}: no space is left on ${machine.name}`, {
      hint: 'make room there (df -h)',
    });
  }
  throw new FederationError('STEP_FAILED', `can’t ${what}: ${lastWords(ran)}`, hint === undefined ? {} : { hint });
}

function isDiskFull(text: string): boolean {
  return /No space left on device|Disk quota exceeded|\bENOSPC\b|\bEDQUOT\b/.test(text);
}

/** The end of what it said, in one line. */
export function lastWords({ code, stdout, stderr }: Ran): string {
  const lines = (stderr.trim() === '' ? stdout : stderr).split('\n').flatMap((line) => line.trim() || []);
  return lines.length === 0 ? `exit code ${code}` : lines.slice(-LAST_LINES).join(' · ');
}

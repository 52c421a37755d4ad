import type { Machine } from '#src/adapters/machine/machine.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';

export interface DiskAnswer {
  readonly mountedAt: string;
  readonly freeBytes: number;
}

/** The file systems that hold these folders, each once. */
export async function askDisks(
  machine: Machine,
  { person }: Facts,
  folders: readonly string[],
  signal: AbortSignal,
): Promise<readonly DiskAnswer[]> {
  const ran = await look(machine, { argv: ['df', '-P', '-k', '--', ...folders], as: person, signal });
  return diskAnswers(ran?.stdout ?? '');
}

/** POSIX `df -P -k`: device, size, used, free and use, then the mount point, which may hold blanks. */
export function diskAnswers(text: string): DiskAnswer[] {
  const found = new Map<string, DiskAnswer>();
  for (const line of text.split('\n')) {
    const [, free, mountedAt] = /^.*\s\d+\s+\d+\s+(\d+)\s+\S+\s+(\/.*)$/.exec(line) ?? [];
    if (mountedAt !== undefined) found.set(mountedAt, { mountedAt, freeBytes: Number(free) * 1024 });
  }
  return [...found.values()];
}

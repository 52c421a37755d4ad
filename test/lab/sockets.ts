import type { Machine } from './machine.ts';

/** Addresses at which a port of a machine is listened on, as `ss` writes them: `127.0.0.1`, `[::1]`. */
export async function listeningAt(machine: Machine, port: number): Promise<string[]> {
  const lines = (await machine.succeed(['ss', '--no-header', '-tln', `sport = :${port}`])).split('\n');
  return lines.flatMap((line) => /^LISTEN +\d+ +\d+ +(\S+):\d+ /.exec(line)?.[1] ?? []).toSorted();
}

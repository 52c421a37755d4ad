import type { Command, Machine } from '#src/adapters/machine/machine.ts';
import { look } from '#src/deploy/doctor/ask/look.ts';
import type { Facts } from '#src/deploy/facts.ts';

export interface FileAnswer {
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly owner: string;
  /** As stat(1) says it: `directory`, `regular file` … */
  readonly kind: string;
}

/** A home and what is directly in it, and in the folders of it; null where nobody may look. */
export async function askFiles(
  machine: Machine,
  { login, person }: Facts,
  home: string,
  signal: AbortSignal,
): Promise<readonly FileAnswer[] | null> {
  // One that root owns by mistake can’t be looked into by the person.
  const as: Command['as'] = login.root || login.sudo ? 'root' : person;
  const ran = await look(machine, {
    argv: ['find', home, '-maxdepth', '2', '-exec', 'stat', '-c', '%a %U %F\t%n', '{}', '+'],
    as,
    signal,
  });
  return ran === null ? null : fileAnswers(ran.stdout);
}

/** What has a line feed in its name is none of ours, and does not fit a line. */
export function fileAnswers(text: string): FileAnswer[] {
  return text.split('\n').flatMap((line) => {
    const match = /^([0-7]{1,5}) (\S+) ([^\t]+)\t(\/.*)$/.exec(line);
    if (match === null) return [];
    const [, mode = '', owner = '', kind = '', path = ''] = match;
    return [{ path, mode: Number.parseInt(mode, 8), owner, kind }];
  });
}

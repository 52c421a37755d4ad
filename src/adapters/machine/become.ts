import type { Command } from '#src/adapters/machine/machine.ts';

/** Whoever we are on a machine. */
export interface Login {
  readonly name: string;
  readonly uid: number;
}

/** How sudo is asked: it wants no password, or it gets one as the first line of standard input. */
export type Sudo = 'quiet' | { readonly gate: string };

export interface Becoming {
  readonly sudo: boolean;
  /** Stands before the words of the command, and after those of sudo. */
  readonly words: readonly string[];
}

/** What makes a command of `login` run as somebody else, with the home and the runtime directory of that person. */
export function become(as: Command['as'], login: Login): Becoming {
  if (as === 'login') return { sudo: false, words: [] };
  if (as === 'root') return { sudo: login.uid !== 0, words: [] };
  const environment = [
    'env',
    `HOME=${as.home}`,
    `USER=${as.name}`,
    `LOGNAME=${as.name}`,
    `XDG_RUNTIME_DIR=/run/user/${as.uid}`,
  ];
  if (as.uid === login.uid) return { sudo: false, words: environment };
  // Of root's own environment nothing reaches the person, who can read that of each of their processes.
  return { sudo: login.uid !== 0, words: [...BARE, 'runuser', '-u', as.name, '--', ...environment] };
}

/** PATH as Debian gives it to a root login, wherever that came from. */
const BARE = [
  'env',
  '-i',
  'LC_ALL=C.UTF-8',
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
] as const;

/**
 * Passes on what comes after the line `$0`. sudo reads a password only where it wants one: without this, one that was
 * not read would be the first line of what the command reads.
 */
const GATE = 'while IFS= read -r line; do [ "$line" = "$0" ] && exec "$@"; done; exit 125';

export function sudoWords(sudo: Sudo): readonly string[] {
  return sudo === 'quiet' ? ['sudo', '-n', '--'] : ['sudo', '-S', '-p', '', '--', 'sh', '-c', GATE, sudo.gate];
}

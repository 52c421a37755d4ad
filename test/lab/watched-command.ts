import { readFileSync, readlinkSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.ts';
import { processesIn, unifiedCgroups } from './cgroups.ts';
import type { Finished } from './command.ts';
import type { Lab } from './lab.ts';
import type { Machine, RunOptions } from './machine.ts';

/** A command of ours in a machine, while it runs. */
export interface WatchedCommand {
  /** Resolves as soon as its standard error has this in it; rejects where it ends without. */
  says(text: string): Promise<void>;
  /** To the program itself, which the machine's sudo may have started. */
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<Finished>;
}

let started = 0;

/** Starts `deploy-federation` in a machine; resolves when the program itself runs. Only one at a time in each machine. */
export async function watch(
  lab: Lab,
  machine: Machine,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<WatchedCommand> {
  const log = `/var/log/watched-${++started}`;
  // Through the folder of the machine it is seen at once, and by no process of the machine.
  const seen = join(machine.root, log);
  await writeFile(seen, '');
  await chmod(seen, 0o666);
  const said = (): Promise<string> => readFile(seen, 'utf8');
  let hasEnded = false;
  const ended = machine.run(['sh', '-c', 'exec "$@" 2>>"$0"', log, ...argv], options).then(async (finished) => {
    hasEnded = true;
    return { ...finished, stderr: await said() };
  });
  const pid = await eventually('the command runs', () => {
    if (hasEnded) throw new Error('it has ended already');
    return programIn(`${lab.run.id}-${machine.name}`);
  });
  return {
    async says(text) {
      await eventually(
        `it says ${text}`,
        async () => {
          const words = await said();
          if (words.includes(text)) return true;
          if (hasEnded) throw new Error(`it ended without ${JSON.stringify(text)}:\n${words}`);
          return false;
        },
        90_000,
      );
    },
    signal: (name) => void process.kill(pid, name),
    ended,
  };
}

/** Id, on this host, of the Node that runs our command in a machine; null while there is none. */
function programIn(machine: string): number | null {
  const found = processesIn(join(unifiedCgroups() ?? '', machine)).find((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return (
        readlinkSync(`/proc/${pid}/exe`).endsWith('/node') && words.some((word) => word.includes('deploy-federation'))
      );
    } catch {
      // It has ended since it was listed.
      return false;
    }
  });
  return found ?? null;
}

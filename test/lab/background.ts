import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';

/** Starts a program that dies with this process, its words going to the file `log`. Removing the run ends it. */
export async function startInBackground(argv: readonly string[], log: string): Promise<void> {
  const words = await open(log, 'a');
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio: ['ignore', words.fd, words.fd] });
  child.unref();
  await Promise.all([once(child, 'spawn'), words.close()]);
}

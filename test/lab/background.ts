import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';

/** Starts a program that dies with this process, its words going to the file `log`. Removing the run ends it. */
export async function startInBackground(argv: readonly string[], log: string): Promise<void> {
  const words = await open(log, 'a');
  const [program = '', ...args] = mortal(argv);
  const child = spawn(program, args, { stdio: ['ignore', words.fd, words.fd] });
  child.unref();
  await Promise.all([once(child, 'spawn'), words.close()]);
}

/** Argv that runs `argv` until the process that starts it ends, however that ends. */
export function mortal(argv: readonly string[]): string[] {
  return ['setpriv', '--pdeathsig', 'KILL', ...argv];
}

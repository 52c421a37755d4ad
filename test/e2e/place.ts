import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { ProcessSeen } from './processes.ts';
import { processesOf } from './processes.ts';

/** The commands under test: of the installed package where one is named, else of this checkout. */
export const BIN =
  process.env['OPENCLAW_FEDERATION_BIN'] ?? fileURLToPath(new URL('../../bin', import.meta.url)).replace(/\/$/, '');

export type CommandName =
  | 'deploy-federation'
  | 'manage-federation'
  | 'auto-register'
  | 'federation-hub'
  | 'federation-worker';

export interface Finished {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** `pipe` for input that the test writes, or an open file; /dev/null otherwise. */
  readonly stdin?: 'pipe' | 'ignore' | number;
  /** Standard output waits until the test reads it from `stdout`. */
  readonly hold?: boolean;
}

export interface Running {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  /** Resolves when it has ended and its outputs are closed. */
  readonly ended: Promise<Finished>;
  /** What it has written on standard error up to now. */
  said(): string;
  kill(signal: NodeJS.Signals): void;
}

/**
 * A folder of a test's own, with a home and a runtime folder in it: all that the commands of the test leave behind
 * is below it or, where it is a process, bears its path.
 */
export interface Place {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  file(name: string): string;
  start(command: CommandName, args: readonly string[], options?: StartOptions): Running;
  run(command: CommandName, args: readonly string[], options?: StartOptions): Promise<Finished>;
  /** A line for the shell, which finds the commands on its PATH. */
  startShell(line: string, options?: StartOptions): Running;
  /** What runs now and came of this place. */
  processes(): ProcessSeen[];
  /** Removes it. Throws when something still ran, after it has ended that too. */
  remove(): Promise<void>;
}

export async function makePlace(): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), 'federation-e2e-'));
  const environment = {
    PATH: `${BIN}:${process.env['PATH']}`,
    HOME: path,
    XDG_RUNTIME_DIR: join(path, 'run'),
    LANG: 'C.UTF-8',
  };

  function launch(program: string, args: readonly string[], options: StartOptions): Running {
    const { env = {}, stdin = 'ignore', hold = false } = options;
    const child = spawn(program, args, {
      cwd: path,
      env: { ...environment, ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    });
    return follow(child, hold);
  }

  const place: Place = {
    path,
    environment,
    file: (name) => join(path, name),
    start: (command, args, options = {}) => launch(join(BIN, command), args, options),
    run: (command, args, options = {}) => place.start(command, args, options).ended,
    startShell: (line, options = {}) => launch('/bin/sh', ['-c', line], options),
    processes: () => processesOf(path),
    async remove() {
      const left = place.processes();
      for (const { pid } of left) process.kill(pid, 'SIGKILL');
      await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
      if (left.length > 0) {
        throw new Error(`still running: ${left.map(({ pid, argv }) => `${pid} ${argv.join(' ')}`).join('; ')}`);
      }
    },
  };
  return place;
}

function follow(child: ChildProcess, hold: boolean): Running {
  const { pid, stdin, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) throw new Error('the command could not be started');
  // A command may end before it has read all of its input.
  stdin?.on('error', () => undefined);
  let said = '';
  stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const printed = hold ? '' : text(stdout);
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    pid,
    stdin,
    stdout,
    ended: closed.then(async ([exitCode, signal]) => ({ exitCode, signal, stdout: await printed, stderr: said })),
    said: () => said,
    kill: (signal) => void child.kill(signal),
  };
}

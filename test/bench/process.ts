import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface ProcessSpec {
  readonly name: string;
  readonly program: string;
  readonly args: readonly (string | number)[];
  /** Takes the log of the process. */
  readonly folder: string;
}

/** A process of the bench; it ends by itself when its standard input does, so that it can't outlive the bench. */
export interface StartedProcess {
  readonly pid: number;
  /** Sends one line. */
  say(words: string): void;
  /** The next line of its standard output. Rejects when it ended instead. */
  next(): Promise<string>;
  /** Resolves when it is gone. */
  stop(): Promise<void>;
}

const STOP_MS = 5000;

export function startProcess(spec: ProcessSpec): StartedProcess {
  const log = openSync(join(spec.folder, `${spec.name}.log`), 'a', 0o600);
  const child = spawn(spec.program, spec.args.map(String), {
    env: { ...ownEnvironment(), XDG_RUNTIME_DIR: spec.folder },
    stdio: ['pipe', 'pipe', log],
    // Ctrl-C reaches the bench alone, which then stops what it started in order.
    detached: true,
  });
  closeSync(log);
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('a child without its pipes');
  const ended = once(child, 'close');
  stdin.on('error', () => undefined);
  const lines: AsyncIterator<string, unknown> = createInterface(stdout)[Symbol.asyncIterator]();

  return {
    get pid() {
      if (child.pid === undefined) throw new Error(`${spec.name} did not start`);
      return child.pid;
    },
    say: (words) => void stdin.write(`${words}\n`),
    async next() {
      const { done, value } = await lines.next();
      if (done !== true) return String(value);
      throw new Error(`${spec.name} ended (exit code ${child.exitCode}, signal ${child.signalCode})`);
    },
    async stop() {
      if (child.pid === undefined) return;
      stdin.end();
      stdout.resume();
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(force);
    },
  };
}

/** The settings of whoever runs the bench are none of its processes'. */
function ownEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OPENCLAW_FEDERATION_')));
}

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { FederationError } from '#src/core/errors.ts';
import { onLines } from '#src/adapters/openclaw/output-lines.ts';

/** A running `openclaw` with a process group of its own. */
export interface RunningOpenClaw {
  readonly pid: number;
  /** Resolves when the process has ended, with how: `exit 1`, `SIGKILL`. */
  readonly exited: Promise<string>;
  /** Ends the whole group: TERM, and KILL after `killAfterMs`. Resolves when the process is gone. */
  stop(killAfterMs: number): Promise<void>;
}

export interface RunOptions {
  /** The program: a name on PATH or a path. */
  readonly openclaw: string;
  readonly args: readonly string[];
  /** On top of our own environment without anything of OpenClaw's or ours. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
}

/** Starts it. Throws OPENCLAW_MISSING. */
export async function runOpenClaw({ openclaw, args, environment, onLine }: RunOptions): Promise<RunningOpenClaw> {
  const inherited = inheritedEnvironment();
  const env = { ...inherited, ...environment };
  const program = findProgram(openclaw, inherited.PATH);
  const [command = program, ...words] = [...mortal(), program, ...args];
  const child = spawn(command, words, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env });
  const spawned = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<string>();
  child.once('spawn', () => spawned.resolve(child.pid ?? 0));
  child.once('error', (error) => spawned.reject(missing(openclaw, error)));
  child.once('exit', (code, signal) => ended.resolve(signal ?? `exit ${code}`));
  onLines(child.stdout, onLine);
  onLines(child.stderr, onLine);
  const pid = await spawned.promise;
  return { pid, exited: ended.promise, stop: (killAfterMs) => stop(child, pid, ended.promise, killAfterMs) };
}

/** Absolute path of a program that is a name on `path`, or a path itself. Throws OPENCLAW_MISSING. */
export function findProgram(openclaw: string, path: string): string {
  const places = openclaw.includes('/') ? [openclaw] : path.split(delimiter).map((folder) => join(folder, openclaw));
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      // Not there; perhaps in the next folder.
    }
  }
  throw missing(openclaw);
}

const SETPRIV = '/usr/bin/setpriv';

/**
 * What makes a program end when we are killed: on Linux the kernel sends it TERM then (PR_SET_PDEATHSIG, by
 * setpriv(1)). Elsewhere one that we leave behind is ended at the next start.
 */
function mortal(): readonly string[] {
  return existsSync(SETPRIV) ? [SETPRIV, '--pdeathsig', 'SIGTERM'] : [];
}

async function stop(child: ChildProcess, pid: number, exited: Promise<string>, killAfterMs: number): Promise<void> {
  const over = new AbortController();
  signalGroup(pid, 'SIGTERM');
  // A stopped process takes no TERM before it goes on.
  signalGroup(pid, 'SIGCONT');
  const kill = pause(killAfterMs, undefined, { signal: over.signal })
    .then(() => signalGroup(pid, 'SIGKILL'))
    .catch(() => undefined);
  await exited;
  over.abort();
  await kill;
  // What the leader left behind in its group.
  signalGroup(pid, 'SIGKILL');
  child.stdout?.destroy();
  child.stderr?.destroy();
}

/** To a group that is gone it does nothing. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Ours without what is OpenClaw's or ours by name, which may be secret or point to another installation. The Node
 * that runs us comes first on PATH: OpenClaw's own line `env node` would find one that is too old for it.
 */
export function inheritedEnvironment(): Record<string, string | undefined> & { PATH: string } {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('OPENCLAW_') && name !== 'NODE_OPTIONS');
  const path = [dirname(process.execPath), process.env['PATH']].filter(Boolean).join(delimiter);
  return { ...Object.fromEntries(kept), PATH: path, NO_COLOR: '1', OPENCLAW_NO_AUTO_UPDATE: '1' };
}

function missing(openclaw: string, cause?: Error): FederationError {
  return new FederationError('OPENCLAW_MISSING', `${openclaw} can't be started`, {
    hint: 'npm install --global openclaw, or name the program in nodeHost.openclaw',
    cause,
  });
}

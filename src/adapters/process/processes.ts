import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import type { Log } from '#src/adapters/log.ts';
import { type Cgroup, type Cgroups, openCgroups } from '#src/adapters/process/cgroup.ts';
import { endTree, killAll, type Tree, type TreeEnding } from '#src/adapters/process/tree.ts';
import { INVOCATION_VARIABLE, scanProcesses } from '#src/adapters/process/scan.ts';

export interface SpawnSpec {
  /** Id of the invocation; it marks every process that comes of it. */
  readonly id: string;
  readonly argv: readonly string[];
  /** The home of the worker's user where it is not given. */
  readonly cwd: string | undefined;
  /** Added to the worker's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Without it the process reads /dev/null. */
  readonly stdin: boolean;
}

export interface ChildExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** A process that runs, in a group of its own. */
export interface Child {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly exited: Promise<ChildExit>;
  /** Ends the process and all that came of it. Resolves with the number of those that are still alive. */
  endTree(ending: TreeEnding): Promise<number>;
  /** Gives back what the system held for it; to be called once, when nothing more is asked of the child. */
  release(): void;
}

/** `exitCode` is what a shell would say: 127 not found, 126 found and not runnable. */
export interface SpawnFailure {
  readonly exitCode: 126 | 127;
  readonly reason: string;
}

export type Spawned =
  | { readonly ok: true; readonly child: Child }
  | { readonly ok: false; readonly failure: SpawnFailure };

export interface Processes {
  /** Makes what the invocation's process will need, to save that time at its start. */
  prepare(id: string): void;
  /** Gives back what was prepared and not used. */
  forget(id: string): void;
  spawn(spec: SpawnSpec): Promise<Spawned>;
  /** Kills what is left of invocations of a worker daemon that died. Resolves with the number that live on. */
  endOrphans(ids: readonly string[]): Promise<number>;
  /** Where each invocation has a cgroup of its own, so that nothing can leave it. */
  readonly contained: boolean;
  close(): void;
}

export interface ProcessesOptions {
  readonly log: Log;
  /** Null does without, as where none can be made. */
  readonly cgroups?: Cgroups | null;
}

/** Starts processes and finds all that came of them: by cgroup, process group and environment. */
export function createProcesses({ log, cgroups = openCgroups(log) }: ProcessesOptions): Processes {
  const environment = { ...process.env };
  const home = existsSync(homedir()) ? homedir() : process.cwd();
  const prepared = new Map<string, Cgroup>();

  async function start(spec: SpawnSpec): Promise<Spawned> {
    const cwd = spec.cwd ?? home;
    const cgroup = prepared.get(spec.id) ?? cgroups?.create(spec.id) ?? null;
    prepared.delete(spec.id);
    try {
      const child = cgroup === null ? launch(spec, cwd) : cgroup.inside(() => launch(spec, cwd));
      if (child.pid !== undefined) return { ok: true, child: track(child, child.pid, spec.id, cgroup) };
      throw await failureOf(child);
    } catch (error) {
      cgroup?.release();
      return { ok: false, failure: await explain(error, spec, cwd) };
    }
  }

  function launch({ argv: [program = '', ...words], env, id, stdin }: SpawnSpec, cwd: string): ChildProcess {
    return spawn(program, words, {
      cwd,
      env: { ...environment, ...env, [INVOCATION_VARIABLE]: id },
      detached: true,
      stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
  }

  return {
    prepare(id) {
      const cgroup = cgroups?.create(id) ?? null;
      if (cgroup !== null) prepared.set(id, cgroup);
    },
    forget(id) {
      prepared.get(id)?.release();
      prepared.delete(id);
    },
    spawn: start,
    endOrphans: (ids) => endOrphans(ids, (id) => cgroups?.find(id) ?? null),
    contained: cgroups !== null,
    close: () => cgroups?.close(),
  };
}

function track(child: ChildProcess, pid: number, id: string, cgroup: Cgroup | null): Child {
  const { stdin, stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('a child without its pipes');
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }));
  });
  const tree: Tree = { id, pid, cgroup, leaderLives: () => child.exitCode === null && child.signalCode === null };
  return {
    pid,
    stdin,
    stdout,
    stderr,
    exited,
    endTree: (ending) => endTree(tree, ending),
    release: () => cgroup?.release(),
  };
}

function failureOf(child: ChildProcess): Promise<Error> {
  return new Promise((resolve) => child.once('error', resolve));
}

/** The system says ENOENT and EACCES of the program and of the directory alike. */
async function explain(error: unknown, { argv: [program = ''] }: SpawnSpec, cwd: string): Promise<SpawnFailure> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  const directory = await stat(cwd).catch(() => null);
  // A command may be long; a reason is for a person.
  const named = program.slice(0, 200);
  if (directory?.isDirectory() !== true) return { exitCode: 127, reason: `no such directory: ${cwd.slice(0, 200)}` };
  if (code === 'ENOENT' || code === 'ENOTDIR') return { exitCode: 127, reason: `no such program: ${named}` };
  if (code === 'EACCES') return { exitCode: 126, reason: `not executable: ${named}` };
  return { exitCode: 126, reason: `can't start ${named} (${code})` };
}

/** Of a dead daemon's children only the marks are left: the environment and the cgroup's name. */
async function endOrphans(ids: readonly string[], cgroupOf: (id: string) => Cgroup | null): Promise<number> {
  if (ids.length === 0) return 0;
  const wanted = new Set(ids);
  const cgroups = ids.flatMap((id) => cgroupOf(id) ?? []);
  const left = await killAll(async () => {
    const marked = (await scanProcesses()).filter(({ invocation }) => invocation !== null && wanted.has(invocation));
    return [...marked.map(({ pid }) => pid), ...cgroups.flatMap((cgroup) => cgroup.threads())];
  });
  for (const cgroup of cgroups) cgroup.release();
  return left;
}

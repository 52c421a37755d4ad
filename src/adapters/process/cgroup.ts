import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Log } from '#src/adapters/log.ts';

/** The cgroup of one invocation: what is born in it can't leave it. */
export interface Cgroup {
  /** Runs `start` so that what it forks is born inside. It must not wait. */
  inside<T>(start: () => T): T;
  /** Ids of all threads inside. */
  threads(): number[];
  /** Holds all that is inside still until it is killed, so that it can't fork faster than we kill. */
  freeze(): void;
  /** Removes it, at once or as soon as the last process left in it has ended. */
  release(): void;
}

export interface Cgroups {
  create(id: string): Cgroup | null;
  /** The one that a daemon before this one left behind. */
  find(id: string): Cgroup | null;
  close(): void;
}

const FOLDER = 'openclaw-federation';

/**
 * Cgroups of version 2 below the daemon's own, null where they can't be made. They are threaded: the daemon's main
 * thread steps in, forks and steps out again, which takes 0.1 ms and leaves no instant at which the new process is
 * outside. Moving a process after its start takes 10 ms (the kernel waits for all CPUs) and lets fast ones escape.
 */
export function openCgroups(log: Log): Cgroups | null {
  const own = ownCgroup();
  if (own === null) return null;
  const base = join(own, FOLDER);
  try {
    const home = openSync(join(own, 'cgroup.threads'), 'w');
    const cgroups = manage(base, home, log);
    const probe = cgroups.create(`probe-${process.pid}`);
    if (probe === null) {
      cgroups.close();
      return null;
    }
    probe.inside(() => undefined);
    probe.release();
    return cgroups;
  } catch (error) {
    log.debug('no cgroups', { reason: reasonOf(error) });
    return null;
  }
}

/** Folder of the cgroup that this process is in, where version 2 is mounted and shows it. */
function ownCgroup(): string | null {
  const path = /^0::(\/.*)$/m.exec(readText('/proc/self/cgroup'))?.[1];
  const mount = readText('/proc/self/mountinfo')
    .split('\n')
    .find((line) => line.includes(' - cgroup2 '))
    ?.split(' ');
  const [root, point] = [mount?.[3], mount?.[4]];
  if (path === undefined || root === undefined || point === undefined || path.includes('/..')) return null;
  return join(point, root !== '/' && path.startsWith(root) ? path.slice(root.length) : path);
}

function manage(base: string, home: number, log: Log): Cgroups {
  /** Released, and not yet empty: a child in the background lives on in each. */
  const lingering = new Set<string>();

  function create(id: string): Cgroup | null {
    const path = join(base, id);
    try {
      makeThreaded(path);
      // Open from here on: at the start of a process every system call counts.
      return cgroup(path, openSync(join(path, 'cgroup.threads'), 'w'));
    } catch (error) {
      log.warn('no cgroup for an invocation', { reason: reasonOf(error) });
      remove(path);
      return null;
    }
  }

  /** False where it can't: the process then starts outside and is found by its group and environment alone. */
  function enter(path: string, threads: number | null): boolean {
    try {
      if (threads !== null) writeSync(threads, '0');
      return threads !== null;
    } catch {
      return enterAnew(path);
    }
  }

  /** Another daemon that sweeps the folder they share may take an empty cgroup for a leftover. */
  function enterAnew(path: string): boolean {
    try {
      makeThreaded(path);
      writeFileSync(join(path, 'cgroup.threads'), '0');
      return true;
    } catch (error) {
      log.warn('no cgroup for an invocation', { reason: reasonOf(error) });
      return false;
    }
  }

  /** A process that was started must not look as if it was not, so this throws nothing. */
  function leave(): void {
    try {
      writeSync(home, '0');
    } catch (error) {
      log.error('the worker is stuck in an invocation’s cgroup', { reason: reasonOf(error) });
    }
  }

  /** `threads`: its `cgroup.threads`, open for writing; null for one that nothing is started in any more. */
  function cgroup(path: string, threads: number | null): Cgroup {
    let open = threads;
    return {
      inside: (start) => {
        if (!enter(path, open)) return start();
        try {
          return start();
        } finally {
          leave();
        }
      },
      threads: () => threadsBelow(path),
      freeze: () => {
        if (!threadsBelow(path).includes(process.pid)) writeQuietly(join(path, 'cgroup.freeze'), '1');
      },
      release: () => {
        if (open !== null) closeSync(open);
        open = null;
        lingering.add(path);
        for (const one of lingering) if (remove(one)) lingering.delete(one);
      },
    };
  }

  sweep(base);
  return {
    create,
    find: (id) => (readText(join(base, id, 'cgroup.type')) === '' ? null : cgroup(join(base, id), null)),
    close: () => {
      for (const path of lingering) remove(path);
      closeSync(home);
      removeFolder(base);
    },
  };
}

/** Folders that a daemon before this one left, as far as they are empty; those of running daemons are not. */
function sweep(base: string): void {
  for (const path of foldersIn(base)) remove(path);
}

function makeThreaded(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (isCode(error, 'ENOENT') && basename(path) !== FOLDER) {
      makeThreaded(dirname(path));
      return makeThreaded(path);
    }
    if (!isCode(error, 'EEXIST')) throw error;
    if (readText(join(path, 'cgroup.type')).trim() === 'threaded') return;
  }
  writeFileSync(join(path, 'cgroup.type'), 'threaded');
}

function threadsBelow(path: string): number[] {
  const own = readText(join(path, 'cgroup.threads')).split('\n').filter(Boolean).map(Number);
  return [...own, ...foldersIn(path).flatMap(threadsBelow)];
}

/** True when it is gone. Only empty cgroups can be removed, the innermost first. */
function remove(path: string): boolean {
  if (removeFolder(path)) return true;
  for (const inner of foldersIn(path)) remove(inner);
  return removeFolder(path);
}

function removeFolder(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    return isCode(error, 'ENOENT');
  }
}

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name));
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function writeQuietly(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch {
    // The kernel has no such control, or the cgroup is gone: the killing goes on without it.
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

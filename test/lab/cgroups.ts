import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where cgroups of version 2 are mounted, beside those of version 1 or alone; null where they are not. */
export function unifiedCgroups(): string | null {
  return hierarchies().find(({ type }) => type === 'cgroup2')?.path ?? null;
}

/** A cgroup of version 2 at the top. Machines that shared one would share the cgroups of their units. */
export function makeCgroup(name: string): string {
  const root = unifiedCgroups();
  if (root === null) throw new Error('no cgroups of version 2');
  const path = join(root, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** The cgroups at the top of each hierarchy whose name begins with `id`: nspawn makes its own in those of version 1. */
export function cgroupsOf(id: string): string[] {
  return hierarchies().flatMap(({ path }) => foldersIn(path).filter((child) => child.startsWith(join(path, `${id}-`))));
}

/** Ids of the processes in a cgroup and below it. */
export function processesIn(cgroup: string): number[] {
  return withDescendants(cgroup).flatMap((path) => {
    try {
      return readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
    } catch {
      // It was removed since it was listed.
      return [];
    }
  });
}

/** False while something in it has not quite ended. */
export function removeCgroup(cgroup: string): boolean {
  try {
    for (const path of withDescendants(cgroup).toReversed()) rmdirSync(path);
  } catch {
    // Busy for now, or already gone: the caller looks again.
  }
  return !existsSync(cgroup);
}

function withDescendants(cgroup: string): string[] {
  return [cgroup, ...foldersIn(cgroup).flatMap(withDescendants)];
}

function foldersIn(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(path, entry.name));
  } catch {
    return [];
  }
}

function hierarchies(): { readonly path: string; readonly type: string }[] {
  const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, path, type] = line.split(' ');
    return path !== undefined && (type === 'cgroup2' || type === 'cgroup') ? { path, type } : [];
  });
}

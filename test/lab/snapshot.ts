import { dirname } from 'node:path';
import { run } from './command.ts';
import type { Machine } from './machine.ts';

/** Each file and folder of a machine by its path: what it is, its mode and owner, and what it holds. */
export type Snapshot = ReadonlyMap<string, string>;

/** What is another machine's or no file, what a running machine writes by itself, and what apt keeps. */
const LEFT_OUT = [
  './proc/*',
  './sys/*',
  './dev/*',
  './run/*',
  './tmp/*',
  './var/tmp/systemd-private-*',
  './var/log/*',
  // A gateway asks npm something at each start, and npm names a log by the time.
  './home/claw/.npm/_logs/*',
  './var/cache/apt/*',
  './var/lib/apt/*',
];

/**
 * What the last snapshot has hashed, by root folder: most of a machine stays as it is. The content of a file is another
 * one only where its inode, its size or the time of its change is, which no program can set.
 */
const hashed = new Map<string, ReadonlyMap<string, string>>();

/** Without times: what was put back has another one. The machine may run meanwhile. */
export async function takeSnapshot({ root }: Pick<Machine, 'root'>): Promise<Snapshot> {
  const prune = LEFT_OUT.flatMap((path, index) => [...(index === 0 ? [] : ['-o']), '-path', path]);
  const listed = await run([...FIND, ...prune, ')', '-prune', '-o', '-printf', LINE], { cwd: root });
  const found = threesOf(itemsOf(listed.stdout)).map(([is, change, path]) => {
    return { is, path, identity: `${change} ${path}` };
  });
  const files = found.filter(({ is }) => is.startsWith('f '));
  const known = hashed.get(root);
  const unknown = files.flatMap(({ path, identity }) => (known?.has(identity) === true ? [] : [path]));
  const hashes = await hashesOf(root, unknown);
  // One that has gone since it was listed has none.
  const all = new Map(
    files.flatMap(({ path, identity }) => {
      const hash = hashes.get(path) ?? known?.get(identity);
      return hash === undefined ? [] : [[identity, hash] as const];
    }),
  );
  hashed.set(root, all);
  return new Map(found.map(({ is, path, identity }) => [path.slice(1) || '/', `${is}${all.get(identity) ?? ''}`]));
}

const FIND = ['find', '.', '('];
/** What it is; what tells that its content is another; and its path. Each may hold anything but NUL. */
const LINE = String.raw`%y %m %U:%G %l\0%i %s %C@\0%p\0`;

async function hashesOf(root: string, paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const sums = ['xargs', '--null', '--no-run-if-empty', 'sha256sum', '--zero', '--'];
  const { stdout } = await run(sums, { cwd: root, input: paths.map((path) => `${path}\0`).join('') });
  return new Map(itemsOf(stdout).map((line) => [line.slice(66), line.slice(0, 64)]));
}

function threesOf(items: readonly string[]): (readonly [string, string, string])[] {
  return items.flatMap((item, at) => (at % 3 === 0 ? [[item, items[at + 1] ?? '', items[at + 2] ?? ''] as const] : []));
}

function itemsOf(text: string): string[] {
  return text.split('\0').slice(0, -1);
}

/** Paths that are not as they were, each with what it was and what it is. */
export function differences(before: Snapshot, after: Snapshot): ReadonlyMap<string, string> {
  const paths = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return new Map(
    paths.flatMap((path) => {
      const [was = 'absent', is = 'absent'] = [before.get(path), after.get(path)];
      return was === is ? [] : [[path, `${was} → ${is}`] as const];
    }),
  );
}

/** Changed paths, without those in a folder that is new: it stands for them. */
export function outermost(changes: ReadonlyMap<string, string>): string[] {
  const isNew = (path: string): boolean => changes.get(path)?.startsWith('absent ') === true;
  return [...changes.keys()].filter((path) => !isNew(dirname(path)));
}

/** What lies below a path. */
export function below(paths: Iterable<string>, folder: string): string[] {
  return [...paths].filter((path) => path.startsWith(`${folder}/`));
}

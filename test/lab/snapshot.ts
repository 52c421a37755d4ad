import { createInterface } from 'node:readline';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
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

/** Without times: what was put back has another one. The machine may run meanwhile. */
export async function takeSnapshot({ root }: Machine): Promise<Snapshot> {
  const prune = LEFT_OUT.flatMap((path, index) => [...(index === 0 ? [] : ['-o']), '-path', path]);
  const words = ['.', '(', ...prune, ')', '-prune', '-o'];
  const [files, contents] = await Promise.all([
    linesOf(root, 'find "$@" -printf "%y %m %U:%G %l\\t%p\\n"', words),
    linesOf(root, 'find "$@" -type f -print0 | xargs -0 -r sha256sum', words),
  ]);
  const hashes = new Map(contents.map((line) => [line.slice(66), line.slice(0, 64)]));
  return new Map(
    files.map((line) => {
      const at = line.indexOf('\t');
      const path = line.slice(at + 1);
      return [path.slice(1) || '/', `${line.slice(0, at)}${hashes.get(path) ?? ''}`];
    }),
  );
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

async function linesOf(cwd: string, script: string, words: readonly string[]): Promise<string[]> {
  const child = spawn('sh', ['-c', script, 'sh', ...words], { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  const lines = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  await ended;
  return lines;
}

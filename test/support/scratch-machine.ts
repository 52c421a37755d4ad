import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { thisMachine } from '#src/adapters/machine/local.ts';
import type { Person } from '#src/adapters/machine/machine.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { placeOf } from '#src/deploy/place.ts';
import type { FakePrograms } from './fake-programs.ts';
import { fakePrograms } from './fake-programs.ts';

/** This machine, with a person whose home is a temp folder, and with fakes of what changes it beyond that. */
export interface ScratchMachine {
  readonly root: string;
  readonly context: Context;
  readonly programs: FakePrograms;
  /** What was said to the person. */
  readonly lines: string[];
  path(name: string): string;
  /** Each path of the home with its kind, permissions, owner and content. */
  snapshot(): Promise<Record<string, string>>;
  dispose(): Promise<void>;
}

export async function scratchMachine(more: Partial<Context> = {}): Promise<ScratchMachine> {
  const root = await mkdtemp(join(tmpdir(), 'scratch-'));
  const { username: name, uid } = userInfo();
  const before = process.env['PATH'];
  const programs = await fakePrograms(join(root, 'programs'));
  const person: Person = { name, uid, group: name, home: join(root, 'home') };
  await mkdir(person.home);
  await chmod(person.home, 0o755);
  const lines: string[] = [];
  return {
    root,
    programs,
    lines,
    context: {
      machine: thisMachine(),
      place: placeOf('user', person),
      person,
      joinToken: null,
      mint: () => Promise.reject(new Error('nothing is minted here')),
      progress: (line) => void lines.push(line),
      packageFolder: root,
      signal: new AbortController().signal,
      ...more,
    },
    path: (inHome) => join(person.home, inHome),
    snapshot: () => look(person.home),
    async dispose() {
      process.env['PATH'] = before;
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function look(folder: string, inside = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(join(folder, inside))).toSorted()) {
    const path = join(inside, name);
    const state = await lstat(join(folder, path));
    const content = state.isSymbolicLink()
      ? await readlink(join(folder, path))
      : state.isFile()
        ? createHash('sha256')
            .update(await readFile(join(folder, path)))
            .digest('hex')
        : 'folder';
    found[path] = `${state.mode.toString(8)} ${state.uid}:${state.gid} ${content}`;
    if (state.isDirectory()) Object.assign(found, await look(folder, path));
  }
  return found;
}

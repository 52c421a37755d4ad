import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { renameDurably, syncFolder, writeDurably } from '#src/adapters/store/durable.ts';
import type { EventFile } from '#src/adapters/store/event-file.ts';
import { openEventFile } from '#src/adapters/store/event-file.ts';
import type { SealOptions, SealedFile } from '#src/adapters/store/handoff-files.ts';
import { sealFiles, streamFile } from '#src/adapters/store/handoff-files.ts';
import type { Readable } from 'node:stream';
import { readIfThere } from '#src/adapters/read-if-there.ts';

/**
 * Handoffs of a worker, a folder each, for its user alone:
 *
 *     ID-ATTEMPT/record.json      what was asked, without the files
 *                in/              the files that came with it
 *                out/             where the agent puts files that belong to the answer
 *                kept/            those that do, when it is over
 *                starting         there before the agent is asked: from then on it may have run
 *                events.ndjson    what happened
 *                over             how it ended, for those who list; the events count
 */
export interface HandoffStore {
  /** Those that were accepted, with what is no folder of ours left out. What a crash left half-made is removed. */
  names(): Promise<readonly string[]>;
  /** Durable, and whole, when it resolves; before that it is not there at all. */
  create(name: string, record: string, files: readonly NewFile[]): Promise<HandoffFolder>;
  open(name: string): HandoffFolder;
  /** Durable when it resolves; of one that is not there, too. */
  remove(name: string): Promise<void>;
}

export interface NewFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface HandoffFolder {
  readonly path: string;
  record(): Promise<string>;
  /** What `markStarting` was called with; null where it was not, or was taken back. */
  starting(): Promise<string | null>;
  /** Durable when it resolves. */
  markStarting(text: string): Promise<void>;
  unmarkStarting(): Promise<void>;
  over(): Promise<string | null>;
  markOver(text: string): Promise<void>;
  events(onLine?: (line: string) => void): Promise<EventFile>;
  /** Takes what lies in `out/`, and further files, out of the agent's hands, within bounds. */
  seal(bounds: Omit<SealOptions, 'out' | 'kept'>): Promise<readonly SealedFile[]>;
  /** Bytes of a sealed file; null where there is none of that size. */
  sealed(name: string, size: number): Promise<Readable | null>;
}

const NAME = /^[0-9A-Z]{26}-[1-9][0-9]{0,5}$/;
const HALF_MADE = /^\.[0-9A-Z]{26}-[1-9][0-9]{0,5}\.(?:new|old)$/;

/** The store in `folder`, which is made where it is missing; the folder above it is there. */
export async function openHandoffStore(folder: string): Promise<HandoffStore> {
  await mkdir(folder, { mode: 0o700, recursive: true });
  await syncFolder(dirname(folder));
  return {
    async names() {
      const all = await readdir(folder);
      for (const name of all) if (HALF_MADE.test(name)) await rm(join(folder, name), { recursive: true, force: true });
      return all.filter((name) => NAME.test(name));
    },
    async create(name, record, files) {
      const fresh = join(folder, `.${name}.new`);
      await rm(fresh, { recursive: true, force: true });
      await mkdir(fresh, { mode: 0o700 });
      for (const part of ['in', 'out']) await mkdir(join(fresh, part), { mode: 0o700 });
      for (const file of files) await writeDurably(join(fresh, 'in', file.name), file.bytes);
      if (files.length > 0) await syncFolder(join(fresh, 'in'));
      await writeDurably(join(fresh, 'record.json'), record);
      await syncFolder(fresh);
      await renameDurably(fresh, join(folder, name));
      return folderAt(join(folder, name));
    },
    open: (name) => folderAt(join(folder, name)),
    async remove(name) {
      const old = join(folder, `.${name}.old`);
      await rm(old, { recursive: true, force: true });
      // Half a folder must not look like one.
      await rename(join(folder, name), old).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      });
      await syncFolder(folder);
      await rm(old, { recursive: true, force: true });
    },
  };
}

function folderAt(path: string): HandoffFolder {
  const file = (name: string): string => join(path, name);
  return {
    path,
    record: () => readFile(file('record.json'), 'utf8'),
    starting: () => readIfThere(file('starting')),
    async markStarting(text) {
      await rm(file('starting'), { force: true });
      await writeDurably(file('starting'), text);
      await syncFolder(path);
    },
    async unmarkStarting() {
      await rm(file('starting'), { force: true });
      await syncFolder(path);
    },
    over: () => readIfThere(file('over')),
    markOver: (text) => writeFile(file('over'), text, { mode: 0o600 }),
    events: (onLine) => openEventFile(file('events.ndjson'), onLine),
    seal: (bounds) => sealFiles({ ...bounds, out: file('out'), kept: file('kept') }),
    sealed: (name, size) => streamFile(join(file('kept'), name), size),
  };
}

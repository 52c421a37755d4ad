import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { copyFile, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Artefact } from '#src/core/handoff/event.ts';
import { syncFolder } from '#src/adapters/store/durable.ts';

/** A file that the agent left: taken, or why not. */
export type SealedFile =
  | { readonly kind: 'taken'; readonly artefact: Artefact }
  | { readonly kind: 'left'; readonly name: string; readonly reason: string };

export interface SealOptions {
  readonly out: string;
  readonly kept: string;
  /** Paths of further files, which are copied. */
  readonly more: readonly string[];
  /** Of all together. */
  readonly maxBytes: number;
  readonly maxFileBytes: number;
  readonly maxFiles: number;
  readonly isName: (text: string) => boolean;
}

/** Files that are looked at; an agent may leave any number. */
const MAX_FILES = 1000;
const CHUNK_BYTES = 1 << 20;

/**
 * Moves the files of `out` to `kept`, where the agent was not told of, and reads them there: what is hashed is what is
 * kept. What is no regular file of one name stays where it is. Those that `kept` holds already come first.
 */
export async function sealFiles(options: SealOptions): Promise<readonly SealedFile[]> {
  const { out, kept, more, maxBytes, maxFileBytes, maxFiles, isName } = options;
  await mkdir(kept, { mode: 0o700 }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  });
  // An agent of this user may put anything in their places: what it links to is no answer, and nobody's to remove.
  if (!(await isFolder(kept))) return [{ kind: 'left', name: basename(kept), reason: 'it is no folder' }];
  const all: SealedFile[] = [];
  let left = maxBytes;
  let count = 0;

  async function take(name: string, bring: (room: number) => Promise<void>): Promise<void> {
    const path = join(kept, name);
    try {
      if (count === maxFiles) throw new Refusal(`there are more than ${maxFiles}`);
      const room = Math.min(left, maxFileBytes);
      await bring(room);
      const artefact = await hashed(path, name, room);
      left -= artefact.size;
      count += 1;
      all.push({ kind: 'taken', artefact });
    } catch (error) {
      // A folder stays: what it holds was never looked at.
      await rm(path, { force: true }).catch(() => undefined);
      all.push({ kind: 'left', name, reason: error instanceof Refusal ? error.message : 'it can’t be read' });
    }
  }

  const before = await namesIn(kept);
  for (const name of before) {
    if (isName(name)) await take(name, () => Promise.resolve());
    else all.push({ kind: 'left', name, reason: 'its name can’t be passed on' });
  }
  for (const name of await namesIn(out)) {
    if (!isName(name)) all.push({ kind: 'left', name, reason: 'its name can’t be passed on' });
    else if (before.includes(name)) all.push({ kind: 'left', name, reason: 'there is one of that name' });
    else await take(name, (room) => move(join(out, name), join(kept, name), room));
  }
  const taken = new Set(all.map((one) => (one.kind === 'taken' ? one.artefact.name : one.name)));
  for (const path of more) {
    const name = basename(path);
    if (!isName(name) || taken.has(name)) continue;
    taken.add(name);
    await take(name, (room) => copy(path, join(kept, name), room));
  }
  await syncFolder(kept);
  return all;
}

/** A sealed file's bytes; null where it is not there, or is not what it was. */
export async function streamFile(path: string, size: number): Promise<Readable | null> {
  const handle = await openRegular(path).catch(() => null);
  if (handle === null) return null;
  const stat = await handle.stat();
  if (stat.size === size) return handle.createReadStream({ highWaterMark: CHUNK_BYTES / 4 });
  await handle.close();
  return null;
}

async function isFolder(path: string): Promise<boolean> {
  return lstat(path).then(
    (stat) => stat.isDirectory(),
    () => false,
  );
}

async function namesIn(folder: string): Promise<readonly string[]> {
  if (!(await isFolder(folder))) return [];
  const names = await readdir(folder).catch(() => []);
  return names.toSorted((a, b) => (a < b ? -1 : 1)).slice(0, MAX_FILES);
}

class Refusal extends Error {}

async function move(from: string, to: string, room: number): Promise<void> {
  await check(from, room);
  await rename(from, to);
}

async function copy(from: string, to: string, room: number): Promise<void> {
  await check(from, room);
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
}

async function check(path: string, room: number): Promise<void> {
  const stat = await lstat(path);
  if (!stat.isFile()) throw new Refusal('it is no regular file');
  if (stat.nlink !== 1) throw new Refusal('it has more than one name');
  if (stat.size > room) throw new Refusal(`it is too large: ${stat.size} bytes`);
}

async function openRegular(path: string): Promise<FileHandle> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Refusal('it is no regular file');
}

async function hashed(path: string, name: string, room: number): Promise<Artefact> {
  const handle = await openRegular(path);
  try {
    if ((await handle.stat()).nlink !== 1) throw new Refusal('it has more than one name');
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let size = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, size);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
      if (size > room) throw new Refusal('it is too large');
    }
    await handle.sync();
    return { name, size, sha256: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}

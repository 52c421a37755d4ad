import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readlink, realpath } from 'node:fs/promises';
import { FederationError } from '#src/core/errors.ts';
import { denied, fileFailure, notAFile } from '#src/worker/files/failure.ts';
import type { Rules } from '#src/worker/files/rules.ts';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY, O_DIRECTORY } = constants;

export interface OpenedFile {
  readonly handle: FileHandle;
  /** Where it really is. */
  readonly path: string;
  readonly stat: Stats;
}

/**
 * Opens a regular file for reading. Symbolic links are followed as far as they stay where it is open: what counts is
 * what was opened, whatever was swapped between a look and the opening. The caller closes it.
 * Throws PATH_DENIED, PATH_NOT_FOUND.
 */
export async function openForReading(path: string, rules: Rules): Promise<OpenedFile> {
  rules.checkAsked(path);
  let handle: FileHandle | null = null;
  try {
    const real = await realpath(path);
    rules.checkOpened(real, path);
    // A device or a pipe may do something when it is only opened.
    checkRegular(path, await lstat(real));
    handle = await open(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    return await checked(handle, path, rules);
  } catch (error) {
    await handle?.close();
    throw fileFailure(error, path);
  }
}

async function checked(handle: FileHandle, path: string, rules: Rules): Promise<OpenedFile> {
  const stat = await handle.stat();
  checkRegular(path, stat);
  const where = await whereIs(handle, path);
  rules.checkOpened(where, path);
  // One look, so that no name comes and goes between two: the file has this name and no other, which may be denied.
  const named = await lstat(where);
  if (named.ino !== stat.ino || named.dev !== stat.dev) {
    throw new FederationError('FILE_CHANGED', `${path} was replaced just now`, { hint: 'read it again' });
  }
  if (named.nlink === 1) return { handle, path: where, stat };
  throw denied(path, 'it has more than one name (hard links), and only one of them was judged');
}

/** A folder that is held open, so that what happens in it happens there, whatever is swapped above it. */
export interface OpenedFolder {
  readonly handle: FileHandle;
  /** Where it really is. */
  readonly path: string;
  /** A path by which a name means what it means in this very folder. */
  entry(name: string): string;
}

/** The folder of a file that is to be written; the caller closes it. Throws as `openForReading`. */
export async function openFolder(path: string, file: string): Promise<OpenedFolder> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(await realpath(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    const folder = handle;
    const where = await whereIs(folder, file);
    return { handle: folder, path: where, entry: (name) => `/proc/self/fd/${folder.fd}/${name}` };
  } catch (error) {
    await handle?.close();
    throw fileFailure(error, path);
  }
}

/**
 * Where the kernel says that something is which was opened; a name that is no text is not for us.
 * Source: proc(5), /proc/pid/fd.
 */
async function whereIs(handle: FileHandle, path: string): Promise<string> {
  if (process.platform !== 'linux') {
    throw new FederationError('MACHINE_UNSUPPORTED', 'files are read and written on Linux only', {
      hint: 'no other system tells what was opened; use exec',
    });
  }
  const bytes = await readlink(`/proc/self/fd/${handle.fd}`, { encoding: 'buffer' });
  const where = bytes.toString('utf8');
  if (!Buffer.from(where).equals(bytes)) throw denied(path, 'it really is at a path that is no text');
  return where;
}

export function checkRegular(path: string, stat: Stats): void {
  if (stat.isFile()) return;
  if (stat.isDirectory()) throw notAFile(path, 'a folder');
  if (stat.isSymbolicLink()) throw denied(path, 'a symbolic link stands in its place');
  throw notAFile(path, stat.isFIFO() ? 'a pipe' : 'a device or a socket');
}

import { chmod, lstat, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import { readIfThere } from '#src/adapters/read-if-there.ts';

/** The folder of one process's settings, secrets and state: 0700, its files 0600. */
export interface Home {
  readonly path: string;
  file(name: string): string;
  /** The text of a file, or null where there is none. */
  read(name: string): Promise<string | null>;
  /**
   * Replaces a file whole: a reader sees the old text or the new one, and a power cut leaves one of them. Durable when it
   * resolves.
   */
  write(name: string, text: string): Promise<void>;
  /** A file takes another's place, whole and durably too. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** A secret that is made once. Two processes that make it at the same time end with the same one. */
  secret(name: string, make: () => string): Promise<string>;
}

/** `flag`, else OPENCLAW_FEDERATION_HOME, else `~/.openclaw-federation`. */
export function homePath(flag: string | undefined, environment: NodeJS.ProcessEnv = process.env): string {
  return resolve(flag ?? (environment['OPENCLAW_FEDERATION_HOME'] || join(homedir(), '.openclaw-federation')));
}

/** Makes the folder where it is missing. Throws HOME_UNUSABLE. */
export async function openHome(path: string): Promise<Home> {
  const usable = <T>(work: Promise<T>): Promise<T> =>
    work.catch((cause: unknown) => Promise.reject(unusable(path, cause)));
  await usable(prepare(path));
  const file = (name: string) => join(path, name);
  return {
    path,
    file,
    read: (name) => usable(readIfThere(file(name))),
    write: (name, text) => usable(replaceFile(file(name), text)),
    rename: (from, to) => usable(renameFile(file(from), file(to))),
    remove: (name) => usable(rm(file(name), { force: true })),
    secret: (name, make) => usable(onceMade(file(name), make)),
  };
}

async function prepare(path: string): Promise<void> {
  await makeFolder(path);
  const { mode, uid } = await lstat(path);
  if (process.getuid !== undefined && uid !== process.getuid()) throw new Error('belongs to another user');
  if ((mode & 0o077) !== 0) await chmod(path, 0o700);
}

/** Like a recursive mkdir, which never comes back where the folder above takes none (/proc). */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const above = dirname(path);
    if (code !== 'ENOENT' || above === path || (await isThere(above))) throw error;
    await makeFolder(above);
    await makeFolder(path);
  }
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function replaceFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.${process.pid}.new`;
  const handle = await open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await renameFile(fresh, path);
}

/** A name is durable only once its folder is. */
async function renameFile(from: string, to: string): Promise<void> {
  await rename(from, to);
  const folder = await open(dirname(to));
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function onceMade(path: string, make: () => string): Promise<string> {
  const known = await readIfThere(path);
  if (known !== null && known !== '') return known;
  try {
    await writeFile(path, make(), { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFile(path, 'utf8');
}

function unusable(path: string, cause: unknown): FederationError {
  const code = (cause as NodeJS.ErrnoException).code;
  return new FederationError('HOME_UNUSABLE', `${path} can’t be used (${code ?? (cause as Error).message})`, {
    hint: 'choose another folder with --home, or mend its owner, permissions and free space',
    cause,
  });
}

import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, rm, rmdir, utimes } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';

/** Longest path of a unix socket on Linux is 107 bytes (unix(7), sun_path); on macOS 103. */
const MAX_SOCKET_PATH = 103;

/** A hub that starts has its folder for less than that before its socket answers. */
const STARTING_MS = 60_000;
/** Who answers on the first runs. */
const SOCKETS = ['operator.sock', 'plugin.sock'] as const;
const [SOCKET] = SOCKETS;

/**
 * A short folder for the sockets of the hub that lives in `home`, for its owner alone. Folders that
 * hubs of this user left behind when they were killed are removed. Throws HOME_UNUSABLE where somebody else made it first.
 */
export async function runtimeDirectory(home: string, environment = process.env): Promise<string> {
  const key = createHash('sha256').update(home).digest('hex').slice(0, 12);
  const base = runtimeBase(environment);
  const path = join(base, key);
  for (const directory of [base, path]) await ensurePrivate(directory);
  // Says that a hub is about to listen here, whatever a killed one left.
  await utimes(path, new Date(), new Date());
  await removeLeftFolders(base, key);
  return path;
}

/** What can’t be removed stays: it is in nobody’s way. */
async function removeLeftFolders(base: string, own: string): Promise<void> {
  const names = await readdir(base).catch(() => []);
  const left = names.filter((name) => /^[0-9a-f]{12}$/.test(name) && name !== own).map((name) => join(base, name));
  await Promise.all(left.map((folder) => removeIfLeft(folder).catch(() => undefined)));
}

/** A folder with anything else in it than dead sockets is not removed. */
async function removeIfLeft(folder: string): Promise<void> {
  if (!(await isOldAndOwn(folder)) || (await answers(join(folder, SOCKET)))) return;
  // A hub may have begun to start while it was asked.
  if (!(await isOldAndOwn(folder))) return;
  for (const socket of SOCKETS.map((name) => join(folder, name))) {
    if ((await lstat(socket).catch(() => null))?.isSocket() === true) await rm(socket);
  }
  await rmdir(folder);
}

async function isOldAndOwn(folder: string): Promise<boolean> {
  const found = await lstat(folder);
  const isOwn = process.getuid === undefined || found.uid === process.getuid();
  return isOwn && found.isDirectory() && Date.now() - found.mtimeMs > STARTING_MS;
}

/** False only where it is certain that nobody listens. */
async function answers(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = connect(socket);
  connection.once('connect', () => resolve(true));
  connection.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'));
  try {
    return await promise;
  } finally {
    connection.destroy();
  }
}

function runtimeBase(environment: NodeJS.ProcessEnv): string {
  const given = environment['XDG_RUNTIME_DIR'];
  const name = 'openclaw-federation';
  if (given !== undefined && join(given, name, 'x'.repeat(12), SOCKET).length <= MAX_SOCKET_PATH) {
    return join(given, name);
  }
  const uid = process.getuid?.() ?? 0;
  // /run/openclaw-federation itself is the machine's: its hub's operator passes through, who may be anybody.
  return join(uid === 0 ? '/run' : '/tmp', `${name}-${uid}`);
}

async function ensurePrivate(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const found = await lstat(directory);
    if (!found.isDirectory() || (process.getuid !== undefined && found.uid !== process.getuid())) {
      throw new Error('belongs to another user');
    }
    if ((found.mode & 0o077) !== 0) await chmod(directory, 0o700);
  } catch (cause) {
    throw new FederationError('HOME_UNUSABLE', `${directory} can’t hold the hub’s sockets`, {
      hint: 'set XDG_RUNTIME_DIR to a folder of your own',
      cause,
    });
  }
}

import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';

/** Longest path of a unix socket on Linux is 107 bytes (unix(7), sun_path); on macOS 103. */
const MAX_SOCKET_PATH = 103;

/**
 * A short folder for the sockets of the hub that lives in `home`, for its owner alone.
 * Throws HOME_UNUSABLE where somebody else made it first.
 */
export async function runtimeDirectory(home: string, environment = process.env): Promise<string> {
  const key = createHash('sha256').update(home).digest('hex').slice(0, 12);
  const base = runtimeBase(environment);
  const path = join(base, key);
  for (const directory of [base, path]) await ensurePrivate(directory);
  return path;
}

function runtimeBase(environment: NodeJS.ProcessEnv): string {
  const given = environment['XDG_RUNTIME_DIR'];
  const name = 'openclaw-federation';
  if (given !== undefined && join(given, name, 'x'.repeat(12), 'operator.sock').length <= MAX_SOCKET_PATH) {
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

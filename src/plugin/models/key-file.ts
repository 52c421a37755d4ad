import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FederationError } from '#src/core/errors.ts';
import { OPENCLAW_MODELS_KEY_FILE } from '#src/core/models/share.ts';

/** Where deploy-federation puts the home of a worker. */
const WORKER_HOME = '.openclaw-worker';
const MAX_BYTES = 1024;

/**
 * What the worker daemon of this node shows this plugin. It is read each time: the daemon may make another. Throws
 * FORBIDDEN where there is none that this user alone can read.
 */
export async function workerKey(file: string | undefined): Promise<string> {
  const path = file ?? join(homedir(), WORKER_HOME, OPENCLAW_MODELS_KEY_FILE);
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((cause: unknown) => {
    throw closed('no worker daemon shares models by this gateway', 'manage-federation models share openclaw', cause);
  });
  try {
    const { mode, uid, size } = await handle.stat();
    if ((mode & 0o077) !== 0 || uid !== process.getuid?.() || size > MAX_BYTES) {
      throw closed(`${path} is not this user’s alone`, `chmod 600 ${path}`);
    }
    const key = (await handle.readFile('utf8')).trim();
    if (key.length >= 32) return key;
    throw closed(`${path} holds no key`, `remove ${path} and start the worker daemon again`);
  } finally {
    await handle.close();
  }
}

function closed(message: string, hint: string, cause?: unknown): FederationError {
  return new FederationError('FORBIDDEN', message, { hint, ...(cause === undefined ? {} : { cause }) });
}

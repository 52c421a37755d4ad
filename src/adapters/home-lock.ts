import { link, readFile, rm, writeFile } from 'node:fs/promises';
import type { Home } from '#src/adapters/home.ts';
import { isRunning, startTime } from '#src/adapters/process/start-time.ts';
import { FederationError } from '#src/core/errors.ts';

/**
 * Keeps a second process of the same kind out of a home until the returned function is called. What a process that
 * was killed left behind does not count. Throws ALREADY_RUNNING.
 */
export async function lockHome(home: Home, kind: string): Promise<() => Promise<void>> {
  const path = home.file(`${kind}.lock`);
  const own = `${path}.${process.pid}`;
  await writeFile(own, `${process.pid} ${startTime(process.pid) ?? ''}\n`, { mode: 0o600 });
  try {
    for (const again of [false, true]) {
      if (await linked(own, path)) return () => rm(path, { force: true });
      const holder = await holderOf(path);
      if (holder !== null || again) throw held(home, kind, holder);
      await rm(path, { force: true });
    }
    throw new Error('unreachable');
  } finally {
    await rm(own, { force: true });
  }
}

/** Throws ALREADY_RUNNING where a process of this kind has the home now. */
export async function checkHomeFree(home: Home, kind: string): Promise<void> {
  const holder = await holderOf(home.file(`${kind}.lock`));
  if (holder !== null) throw held(home, kind, holder);
}

function held(home: Home, kind: string, holder: number | null): FederationError {
  return new FederationError('ALREADY_RUNNING', `process ${holder ?? '?'} is the ${kind} of ${home.path}`, {
    hint: 'stop it first, or give this one another --home',
  });
}

/** A link is made whole or not at all, whoever else tries. */
async function linked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** The process that holds the lock; null where it is gone. */
async function holderOf(path: string): Promise<number | null> {
  const [pid = '', started = ''] = (await readFile(path, 'utf8').catch(() => '')).trim().split(' ');
  if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return null;
  return isRunning(Number(pid), started === '' ? null : started) ? Number(pid) : null;
}

import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Home } from '#src/adapters/home.ts';
import { parseYaml } from '#src/adapters/settings-file.ts';

export const POLICY_FILE = 'approval-policy.yaml';

/** What the file holds, not looked into. */
export type PolicyText =
  | { readonly state: 'absent' }
  | { readonly state: 'unreadable'; readonly problem: string }
  | { readonly state: 'read'; readonly value: unknown };

/** An editor writes in several steps, or puts a new file in the old one's place. */
const SETTLE_MS = 100;
/** Where the system can't tell of changes, as on some network file systems. */
const LOOK_MS = 30_000;
/** A thousand long rules take less. */
const MAX_BYTES = 1 << 20;

/** The policy file of a home, at once and whenever it changes, comes or goes; ends when `signal` is aborted. */
export async function* followPolicyFile(home: Home, signal: AbortSignal): AsyncGenerator<PolicyText> {
  const path = home.file(POLICY_FILE);
  const news = announcements(home.path);
  try {
    for (let seen: string | null = null; !signal.aborted; await news.next(signal)) {
      const found = await signatureOf(path);
      if (found === seen) continue;
      seen = found;
      yield await readPolicy(path);
    }
  } finally {
    news.close();
  }
}

/** Tells when something may have happened to the file; one that comes while nobody waits is not lost. */
function announcements(folder: string) {
  let came = Promise.withResolvers<void>();
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(folder, { persistent: false }, (_, name) => {
      // The hub's own store is in this folder, and is written all the time.
      if (name === null || name === POLICY_FILE) came.resolve();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // No watch is left in this system: it is looked at now and then all the same.
  }
  return {
    async next(signal: AbortSignal): Promise<void> {
      const over = new AbortController();
      const any = AbortSignal.any([signal, over.signal]);
      await Promise.race([came.promise, waited(LOOK_MS, any)]);
      over.abort();
      await waited(SETTLE_MS, signal);
      came = Promise.withResolvers();
    },
    close: () => watcher?.close(),
  };
}

async function waited(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

/** Differs after any change, also after one within the same millisecond that kept the length. */
async function signatureOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return codeOf(error);
  }
}

async function readPolicy(path: string): Promise<PolicyText> {
  const unreadable = (problem: string): PolicyText => ({ state: 'unreadable', problem });
  try {
    const found = await stat(path);
    if (!found.isFile()) return unreadable('it is no file');
    if (found.size > MAX_BYTES) return unreadable(`it is larger than ${MAX_BYTES >> 20} MiB`);
    const text = await readFile(path, 'utf8');
    return { state: 'read', value: parseYaml(text) };
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return { state: 'absent' };
    if (code !== '') return unreadable(`it can’t be read (${code})`);
    const [first = ''] = (error as Error).message.split('\n');
    return unreadable(first === '' ? 'it is no YAML' : first);
  }
}

/** Of an error of the system; empty for another. */
function codeOf(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined ? '' : (code ?? '');
}

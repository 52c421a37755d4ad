import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Tells when something may have happened to a file; what comes while nobody waits is not lost. */
export interface FileNews {
  /** Resolves with the next news, some time after nothing came, and when `signal` is aborted. */
  next(signal: AbortSignal): Promise<void>;
  close(): void;
}

/** An editor writes in several steps, or puts a new file in the old one's place. */
const SETTLE_MS = 100;
/** Where the system can't tell of changes, as on some network file systems. */
const LOOK_MS = 30_000;

/** News of the file `name` in a folder, which need not be there. */
export function fileNews(folder: string, name: string): FileNews {
  let came = Promise.withResolvers<void>();
  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(folder, { persistent: false }, (_, changed) => {
      // Others are written all the time in the home of a daemon.
      if (changed === null || changed === name) came.resolve();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // No watch is left in this system: it is looked at now and then all the same.
  }
  return {
    async next(signal) {
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

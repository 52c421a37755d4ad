import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { renameDurably, syncFolder, writeDurably } from '#src/adapters/store/durable.ts';

/** Which task of a foreign server a run is, for a daemon after this one. */
export interface TaskIds {
  /** Null where none was told. */
  get(key: string): Promise<string | null>;
  /** Durable when it resolves. */
  put(key: string, task: string): Promise<void>;
  forget(key: string): Promise<void>;
}

/** One small file for each run that is under way. */
export function openTaskIds(folder: string): TaskIds {
  const fileOf = (key: string): string => join(folder, encodeURIComponent(key));
  return {
    get: (key) =>
      readFile(fileOf(key), 'utf8').catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }),
    async put(key, task) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const fresh = `${fileOf(key)}.new`;
      await rm(fresh, { force: true });
      await writeDurably(fresh, task);
      await renameDurably(fresh, fileOf(key));
    },
    async forget(key) {
      await rm(fileOf(key), { force: true });
      await syncFolder(folder).catch(() => undefined);
    },
  };
}

import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder } from '#src/adapters/store/durable.ts';
import type { EventFile } from '#src/adapters/store/event-file.ts';
import { openEventFile } from '#src/adapters/store/event-file.ts';

/** The events of a hub's handoffs: `ID.ndjson` each, for its user alone. */
export async function openMirrorFiles(folder: string) {
  await mkdir(folder, { mode: 0o700, recursive: true });
  await syncFolder(dirname(folder));
  const path = (id: string): string => join(folder, `${id}.ndjson`);
  return {
    /** Opens it, or makes it; its name is durable, too, when this resolves. */
    async open(id: string): Promise<EventFile> {
      const file = await openEventFile(path(id));
      if (file.size === 0) await syncFolder(folder);
      return file;
    },
    remove: (id: string): Promise<void> => rm(path(id), { force: true }),
  };
}

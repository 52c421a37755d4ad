import type { FileHandle } from 'node:fs/promises';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes a new file with that content, for its owner alone; it has reached the medium when this resolves. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await withHandle(await open(path, 'wx', 0o600), async (file) => {
    await file.writeFile(content);
    await file.sync();
  });
}

/** A name is durable only once its folder is. */
export async function syncFolder(path: string): Promise<void> {
  await withHandle(await open(path, 'r'), (folder) => folder.sync());
}

/** A file or folder takes another's place, or a new one, durably. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

async function withHandle(handle: FileHandle, work: (handle: FileHandle) => Promise<void>): Promise<void> {
  try {
    await work(handle);
  } finally {
    await handle.close();
  }
}

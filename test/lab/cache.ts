import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the lab keeps what takes long to build, and the folders of its runs. */
export const CACHE = process.env['FEDERATION_LAB'] ?? join(homedir(), '.cache/federation-lab');

/**
 * The folder of the cache that holds `name` built by `recipe`, built now if there is none. The recipe is all that
 * decides what is inside. What is unfinished has another name, so an interrupted build is never taken for a whole one.
 */
export async function cached(name: string, recipe: unknown, build: (folder: string) => Promise<void>): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 16);
  const folder = join(CACHE, `${name}-${key}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.new-${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  try {
    await build(unfinished);
    await finish(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  await forgetOthers(name, folder);
  return folder;
}

/** Another run may have built the same in the meantime. */
async function finish(unfinished: string, folder: string): Promise<void> {
  try {
    await rename(unfinished, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  }
}

/** Removes what older recipes left, save what a running machine stands on and what another run is building. */
async function forgetOthers(name: string, folder: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8');
  for (const entry of await readdir(CACHE)) {
    const [, part, builder] = /^(.+)-[0-9a-f]{16}(?:\.new-(\d+))?$/.exec(entry) ?? [];
    const path = join(CACHE, entry);
    if (part !== name || path === folder || mounts.includes(path)) continue;
    if (builder !== undefined && existsSync(`/proc/${builder}`)) continue;
    await rm(path, { recursive: true, force: true });
  }
}

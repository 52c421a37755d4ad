import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the lab keeps what takes long to build, and the folders of its runs. */
export const CACHE = process.env['FEDERATION_LAB'] ?? join(homedir(), '.cache/federation-lab');

const LONGEST_RUN_MS = 3_600_000;

/**
 * The folder of the cache that holds `name` built by `recipe`, built now if there is none. The recipe is all that
 * decides what is inside. What is unfinished has another name, so an interrupted build is never taken for a whole one.
 */
export async function cached(name: string, recipe: unknown, build: (folder: string) => Promise<void>): Promise<string> {
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 16);
  const folder = join(CACHE, `${name}-${key}`);
  if (existsSync(folder)) {
    await markUsed(folder);
    return folder;
  }
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

async function markUsed(folder: string): Promise<void> {
  const now = new Date();
  await utimes(folder, now, now);
}

/** Removes what was built by other recipes, save what another run may still use or is building. */
async function forgetOthers(name: string, folder: string): Promise<void> {
  for (const entry of await readdir(CACHE)) {
    const [, part, builder] = /^(.+)-[0-9a-f]{16}(?:\.new-(\d+))?$/.exec(entry) ?? [];
    const path = join(CACHE, entry);
    if (part !== name || path === folder) continue;
    const inUse = builder === undefined ? await usedLately(path) : existsSync(`/proc/${builder}`);
    if (!inUse) await rm(path, { recursive: true, force: true });
  }
}

async function usedLately(path: string): Promise<boolean> {
  return Date.now() - (await stat(path)).mtimeMs < LONGEST_RUN_MS;
}

import { link, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { cached } from './cache.ts';
import { succeed } from './command.ts';

/** npm, as this project pins it. */
export const NPM = fileURLToPath(new URL('../../node_modules/npm/bin/npm-cli.js', import.meta.url));

/** What the machines can install from the lab's registry, with all that it depends on. */
const PACKAGES = ['openclaw@2026.9.6'];

/** A line of npm's cache (cacache, index-v5): what was fetched from `key`, and the hash that it is kept under. */
const Entry = z.object({ key: z.string(), integrity: z.string().nullish() });
const Packument = z.looseObject({
  name: z.string(),
  versions: z.record(z.string(), z.looseObject({ dist: z.looseObject({ tarball: z.string() }) })),
});

const FETCHED = 'make-fetch-happen:request-cache:';

/**
 * Folder with what npm fetches of `PACKAGES` from the registry of this host, laid out as it is served at `url`: NAME
 * and NAME/-/FILE.tgz. It holds the packages for this host's kind of machine alone.
 */
export async function makeNpmStore(url: string): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  return cached('npm-store', { PACKAGES, url, platform }, async (folder) => {
    const cache = join(folder, 'cache');
    const prefix = join(folder, 'prefix');
    const npm = [process.execPath, NPM, '--cache', cache, '--prefix', prefix];
    await succeed([...npm, 'install', '--global', '--ignore-scripts', '--no-audit', '--no-fund', ...PACKAGES]);
    const registry = (await succeed([...npm, 'config', 'get', 'registry'])).trim();
    await rm(prefix, { recursive: true });
    await layOut(join(cache, '_cacache'), registry, folder, url);
    await rm(cache, { recursive: true });
  });
}

async function layOut(cache: string, registry: string, folder: string, url: string): Promise<void> {
  for (const { key, integrity } of await entriesOf(cache)) {
    if (!key.startsWith(`${FETCHED}${registry}`) || typeof integrity !== 'string') continue;
    const path = decodeURIComponent(key.slice(FETCHED.length + registry.length));
    const content = contentPath(cache, integrity);
    const file = path.endsWith('.tgz') ? join(folder, path) : join(folder, path, 'package.json');
    await mkdir(dirname(file), { recursive: true });
    if (path.endsWith('.tgz')) await link(content, file);
    else await writeFile(file, await packument(content, registry, url));
  }
}

/** The last line of a key counts. */
async function entriesOf(cache: string): Promise<z.infer<typeof Entry>[]> {
  const index = join(cache, 'index-v5');
  const found = new Map<string, z.infer<typeof Entry>>();
  for (const file of await readdir(index, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    for (const line of (await readFile(join(file.parentPath, file.name), 'utf8')).split('\n')) {
      const json = line.split('\t')[1];
      if (json === undefined) continue;
      const entry = Entry.parse(JSON.parse(json));
      found.set(entry.key, entry);
    }
  }
  return [...found.values()];
}

function contentPath(cache: string, integrity: string): string {
  const [algorithm = '', hash = ''] = integrity.split(/-(.*)/s);
  const hex = Buffer.from(hash, 'base64').toString('hex');
  return join(cache, 'content-v2', algorithm, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
}

async function packument(file: string, registry: string, url: string): Promise<string> {
  const found = Packument.parse(JSON.parse(await readFile(file, 'utf8')));
  for (const { dist } of Object.values(found.versions)) {
    if (dist.tarball.startsWith(registry)) dist.tarball = `${url}/${dist.tarball.slice(registry.length)}`;
  }
  return JSON.stringify(found);
}

import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { cached } from './cache.ts';
import { succeed } from './command.ts';
import type { Machine } from './machine.ts';
import { NPM } from './npm-store.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const NAME = 'openclaw-federation';

/** What the package is built by, besides what it holds. */
const BUILD = ['src', '.ci', 'package.json', 'package-lock.json', '.npmrc', 'tsconfig.json', 'tsconfig.build.json'];
/** What that makes. */
const BUILT: ReadonlySet<string> = new Set(['dist', 'plugin']);
const Manifest = z.object({ files: z.array(z.string()), bin: z.record(z.string(), z.string()) });

/**
 * The prefix of a global installation of the packed package: that which OPENCLAW_FEDERATION_PACKAGE names, else one
 * that is built of this checkout as it is now.
 */
export async function makeProduct(): Promise<string> {
  const given = process.env['OPENCLAW_FEDERATION_PACKAGE'];
  if (given !== undefined) return given;
  const modules = await makeModules();
  const sources = await findSources();
  return cached('product', { modules, sources: await hashOf(sources) }, async (folder) => {
    const target = join(folder, 'lib/node_modules', NAME);
    await mkdir(join(folder, 'lib/node_modules'), { recursive: true });
    await rename(await pack(sources, folder), target);
    await succeed(['cp', '-al', join(modules, 'node_modules'), target]);
    await mkdir(join(folder, 'bin'));
    for (const [command, path] of Object.entries((await readManifest()).bin)) {
      await symlink(`../lib/node_modules/${NAME}/${path}`, join(folder, 'bin', command));
    }
  });
}

/** Puts the package on a machine as `npm install --global` of root does. */
export async function installProduct({ root }: Machine): Promise<void> {
  const prefix = await makeProduct();
  for (const part of ['lib', 'bin']) await succeed(['cp', '-a', `${prefix}/${part}/.`, join(root, 'usr', part)]);
}

/** All that the package is made of, or by. */
async function findSources(): Promise<string[]> {
  const { files } = await readManifest();
  return [...BUILD, ...files.filter((name) => !BUILT.has(name))];
}

async function readManifest(): Promise<z.infer<typeof Manifest>> {
  return Manifest.parse(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')));
}

/** What the package depends on, at the versions of the lockfile. */
async function makeModules(): Promise<string> {
  const lock = ['package.json', 'package-lock.json', '.npmrc'];
  return cached('product-modules', await hashOf(lock), async (cwd) => {
    for (const name of lock) await cp(join(ROOT, name), join(cwd, name));
    await succeed([process.execPath, NPM, 'ci', '--omit=dev', '--prefer-offline'], { cwd });
  });
}

/** Folder of the unpacked tarball. It is built in a copy, so that nothing changes in the checkout. */
async function pack(sources: readonly string[], folder: string): Promise<string> {
  const checkout = join(folder, 'checkout');
  const packed = join(folder, 'packed');
  await mkdir(packed);
  for (const source of sources) await cp(join(ROOT, source), join(checkout, source), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  await succeed([join(checkout, '.ci/package'), packed]);
  await rm(checkout, { recursive: true });
  const unpacked = join(folder, 'package');
  await rename(join(packed, 'package'), unpacked);
  await rm(packed, { recursive: true });
  return unpacked;
}

async function hashOf(names: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const name of names) {
    for (const file of await filesBelow(join(ROOT, name))) hash.update(file).update(await readFile(file));
  }
  return hash.digest('hex');
}

async function filesBelow(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return files.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOTDIR') return [path];
    throw error;
  }
}

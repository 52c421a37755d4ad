import { cp, mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { layPlugin } from '../openclaw/plugin-package.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BARE = ['bare-hub.ts', 'bare-nodes.ts'].map((name) => join(import.meta.dirname, 'processes', name));

/**
 * Lays the package out in `folder` as it is installed: compiled, its commands in `bin`, its packages beside it.
 * In `plugin` is what a gateway loads, in `bare` are the programs that it is measured against.
 */
export async function installPackage(folder: string, signal: AbortSignal): Promise<string> {
  const path = join(folder, 'openclaw-federation');
  const tsc = (...args: string[]) => execa(join(ROOT, 'node_modules/.bin/tsc'), args, { cancelSignal: signal });
  await mkdir(path);
  await tsc('-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(path, 'dist'));
  const plain = ['--ignoreConfig', '--noCheck', '--module', 'nodenext', '--target', 'es2024'];
  await tsc(...plain, '--outDir', join(path, 'bare'), ...BARE);
  for (const name of ['bin', 'skills', 'package.json', 'openclaw.plugin.json']) {
    await cp(join(ROOT, name), join(path, name), { recursive: true });
  }
  await layPlugin(path, join(path, 'plugin'));
  await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  return path;
}

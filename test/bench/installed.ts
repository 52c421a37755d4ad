import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { buildPackage } from '../support/built-package.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const BARE = ['bare-hub.ts', 'bare-nodes.ts'].map((name) => join(import.meta.dirname, 'processes', name));

/**
 * Lays the package out in `folder` as it is installed: compiled, its commands in `bin`, its packages beside it.
 * In `plugin` is what a gateway loads, in `bare` are the programs that it is measured against.
 */
export async function installPackage(folder: string, signal: AbortSignal): Promise<string> {
  const path = join(folder, 'openclaw-federation');
  await buildPackage(path, signal);
  const plain = ['--ignoreConfig', '--noCheck', '--module', 'nodenext', '--target', 'es2024'];
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  await execa(tsc, [...plain, '--outDir', join(path, 'bare'), ...BARE], { cancelSignal: signal });
  return path;
}

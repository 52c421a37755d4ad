import { cp, mkdir, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

const ROOT = resolve(import.meta.dirname, '../..');

/** Lays the package out in `folder` as it is installed: compiled, its commands in `bin`, its packages beside it. */
export async function installPackage(folder: string, signal: AbortSignal): Promise<string> {
  const path = join(folder, 'openclaw-federation');
  await mkdir(path);
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  await execa(tsc, ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', join(path, 'dist')], {
    cancelSignal: signal,
  });
  await cp(join(ROOT, 'bin'), join(path, 'bin'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(path, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  return path;
}

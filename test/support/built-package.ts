import { cp, mkdir, readFile, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

const CHECKOUT = resolve(import.meta.dirname, '../..');
const BUILT = ['dist', 'plugin'];

/** Lays the package out in the folder `path`, which it makes: what is published of it, as this checkout builds it now. */
export async function buildPackage(path: string, signal?: AbortSignal): Promise<void> {
  await mkdir(path, { recursive: true });
  const { files } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as { files: string[] };
  for (const name of [...files.filter((one) => !BUILT.includes(one)), 'package.json']) {
    await cp(join(CHECKOUT, name), join(path, name), { recursive: true });
  }
  await symlink(join(CHECKOUT, 'node_modules'), join(path, 'node_modules'));
  const tsc = ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', join(path, 'dist')];
  const options = { cwd: CHECKOUT, preferLocal: true, ...(signal && { cancelSignal: signal }) };
  await execa('tsc', tsc, options);
  await execa(process.execPath, ['.ci/bundle-plugin.js', join(path, 'dist'), join(path, 'plugin')], options);
}

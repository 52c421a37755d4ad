import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { filesOfPackage, packageTree } from '#src/deploy/release/package-tree.ts';
import { INSTALLED, writeTree } from '../support/installed-package.ts';

let modules: string;
let root: string;
beforeEach(async () => {
  modules = join(await mkdtemp(join(tmpdir(), 'package-tree-')), 'node_modules');
  root = join(modules, 'openclaw-federation');
  await writeTree(modules, INSTALLED);
});
afterEach(() => rm(join(modules, '..'), { recursive: true }));

async function layout(): Promise<Record<string, string>> {
  return Object.fromEntries((await packageTree(root)).map(({ to, version }) => [to, version]));
}

const LAID_OUT = {
  'node_modules/openclaw-federation': '9.9.9',
  'node_modules/@scope/beside': '1.0.0',
  'node_modules/@scope/beside/node_modules/a': '4.0.0',
  'node_modules/a': '1.0.0',
  'node_modules/b': '1.0.0',
  'node_modules/b/node_modules/a': '2.0.0',
  'node_modules/bundler': '1.0.0',
  'node_modules/c': '1.0.0',
  'node_modules/c/node_modules/a': '2.0.0',
};

it('has each package find the versions that it finds where it is installed', async () => {
  expect(await layout()).toEqual(LAID_OUT);
});

it('is the same where a package is linked from elsewhere', async () => {
  // Nothing in a linked package finds what it was linked into.
  const path = 'node_modules/b/node_modules/c/package.json';
  await writeTree(root, { [path]: { name: 'c', version: '1.0.0', dependencies: { a: '2' } } });
  await rename(join(root, 'node_modules/b'), join(modules, '../checkout-of-b'));
  await symlink('../../../checkout-of-b', join(root, 'node_modules/b'));
  expect(await layout()).toEqual(LAID_OUT);
});

it('is refused where a package is not installed', async () => {
  await rm(join(root, 'node_modules/b/node_modules/c'), { recursive: true });
  await expect(packageTree(root)).rejects.toMatchObject({
    code: 'PROGRAM_MISSING',
    message: expect.stringContaining('b needs the package c') as string,
  });
});

it('holds of a package what runs, and of ours what is published', async () => {
  const tree = await packageTree(root);
  const files = await Promise.all(tree.map(async (one) => [one.to, await filesOfPackage(one)] as const));
  expect(Object.fromEntries(files)).toMatchObject({
    'node_modules/openclaw-federation': [
      'README.md',
      'bin/manage-federation',
      'dist/main.js',
      'package.json',
      'plugin/main.js',
      'plugin/package.json',
    ],
    'node_modules/a': ['index.js', 'package.json'],
    'node_modules/b': ['index.js', 'package.json'],
    'node_modules/bundler': ['index.js', 'node_modules/a/index.js', 'node_modules/a/package.json', 'package.json'],
  });
});

it('holds what a link in a package leads to, and refuses one that leads out of it', async () => {
  const folder = join(root, 'node_modules/a');
  await symlink('index.js', join(folder, 'main.js'));
  const a = (await packageTree(root)).find(({ to }) => to === 'node_modules/a')!;
  expect(await filesOfPackage(a)).toContain('main.js');
  await writeFile(join(modules, '../private'), 'x');
  await symlink('../../../../private', join(folder, 'data'));
  await expect(filesOfPackage(a)).rejects.toMatchObject({ code: 'STEP_FAILED' });
});

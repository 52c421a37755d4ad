import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { launcher } from '#src/cli/launcher.ts';
import { shellWord } from '#src/core/shell-word.ts';

const OWN = resolve(import.meta.dirname, '../../bin/manage-federation');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-launcher-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

test('a command that is not on PATH is called by its path', () => {
  vi.stubEnv('PATH', folder);
  expect(launcher('manage-federation')).toBe(shellWord(OWN));
});

test('a command that is on PATH is called by its name, by a link of npm too', async () => {
  await symlink(OWN, join(folder, 'manage-federation'));
  vi.stubEnv('PATH', `/nowhere:${folder}`);
  expect(launcher('manage-federation')).toBe('manage-federation');
});

test('the command of another package does not stand for ours', async () => {
  await writeFile(join(folder, 'manage-federation'), '');
  vi.stubEnv('PATH', `${folder}:${resolve(OWN, '..')}`);
  expect(launcher('manage-federation')).toBe(shellWord(OWN));
});

describe('npm of a checkout whose packages are not installed', () => {
  /** A checkout with nothing but its commands; resolves to its bin. */
  async function checkout(name: string): Promise<string> {
    const root = join(folder, name);
    await mkdir(join(root, 'src'), { recursive: true });
    await cp(resolve(OWN, '..'), join(root, 'bin'), { recursive: true });
    return join(root, 'bin');
  }

  async function npm(path: readonly string[]) {
    return await execa('npm', ['ci', 'a b'], { env: { PATH: path.join(':') }, extendEnv: false, reject: false });
  }

  test('the next npm on PATH is called, also where two checkouts stand before it', async () => {
    const [one, two] = [await checkout('one'), await checkout('two')];
    const other = join(folder, 'other');
    await mkdir(other);
    await writeFile(join(other, 'npm'), '#!/bin/sh\necho "other: $1, $2"\n');
    await chmod(join(other, 'npm'), 0o755);
    expect(await npm([one, two, one, other, '/usr/bin', '/bin'])).toMatchObject({ stdout: 'other: ci, a b' });
  });

  test('it does not call itself where there is no other', async () => {
    const own = await checkout('own');
    const link = join(folder, 'links');
    await mkdir(link);
    await symlink(join(own, 'npm'), join(link, 'npm'));
    const tools = join(folder, 'tools');
    await mkdir(tools);
    for (const tool of ['sh', 'readlink']) await symlink(`/bin/${tool}`, join(tools, tool));
    const { exitCode, stderr } = await npm([link, own, tools]);
    expect([exitCode, stderr]).toEqual([69, expect.stringContaining('are not installed')]);
  });
});

test.each([
  ['/a/b-c.d', '/a/b-c.d'],
  ['a b', "'a b'"],
  ["it's", String.raw`'it'\''s'`],
  ['', "''"],
])('%j is typed as %s', (word, text) => {
  expect(shellWord(word)).toBe(text);
});

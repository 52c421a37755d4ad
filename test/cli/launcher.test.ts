import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
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

test.each([
  ['/a/b-c.d', '/a/b-c.d'],
  ['a b', "'a b'"],
  ["it's", String.raw`'it'\''s'`],
  ['', "''"],
])('%j is typed as %s', (word, text) => {
  expect(shellWord(word)).toBe(text);
});

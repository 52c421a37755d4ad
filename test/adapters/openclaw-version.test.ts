import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openclawVersion } from '#src/adapters/openclaw/version.ts';

let folder: string;

beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'ocf-version-'))));
afterEach(() => rm(folder, { recursive: true }));

async function program(path: string, text: string): Promise<string> {
  await writeFile(join(folder, path), `#!/bin/sh\n${text}\n`);
  await chmod(join(folder, path), 0o755);
  return join(folder, path);
}

test('an installed package says its version without being started', async () => {
  await mkdir(join(folder, 'openclaw'));
  await program('openclaw/openclaw.mjs', 'exit 1');
  await writeFile(join(folder, 'openclaw/package.json'), '{"name":"openclaw","version":"2026.9.6"}');
  await symlink('openclaw/openclaw.mjs', join(folder, 'linked'));
  expect(await openclawVersion(join(folder, 'linked'))).toBe('2026.9.6');
});

test('a script of somebody’s own is asked', async () => {
  await writeFile(join(folder, 'package.json'), '{"name":"theirs","version":"1.0.0"}');
  expect(
    await openclawVersion(await program('openclaw', '[ "$1" = --version ] && echo "OpenClaw 2026.9.6-beta.2 (abc)"')),
  ).toBe('2026.9.6-beta.2');
});

test.each([
  ['fails', 'exit 1'],
  ['says something else', 'echo hello'],
  ['floods', 'yes 2026.9.6'],
])('a program that %s has no version', async (_, text) => {
  expect(await openclawVersion(await program('openclaw', text))).toBeNull();
});

test('where there is no program there is no version', async () => {
  expect(await openclawVersion(join(folder, 'nothing'))).toBeNull();
});

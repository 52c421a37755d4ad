import { mkdir, open, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removePluginCopies } from '#src/deploy/actions/plugin-copies.ts';
import type { ScratchMachine } from '../support/scratch-machine.ts';
import { scratchMachine } from '../support/scratch-machine.ts';

let scratch: ScratchMachine;
let captures: string;

beforeEach(async () => {
  scratch = await scratchMachine();
  captures = join(scratch.context.place.openclawState, 'tmp/plugin-captures');
});

afterEach(() => scratch.dispose());

/** A copy of a plugin, as OpenClaw 2026.9.6 lays it out. */
async function copy(instance: string, name: string, id: string): Promise<void> {
  const folder = join(captures, instance, 'captures', name);
  const files = {
    'package-0/node_modules/plugin/openclaw.plugin.json': `{\n  "id": "${id}",\n  "tools": ["openclaw-federation"]\n}`,
    'package-0/node_modules/plugin/dist/main.js': '',
    'package-1/node_modules/zod/package.json': '{}',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  await writeFile(join(captures, instance, 'owner.sqlite'), '');
}

const left = async (...path: string[]): Promise<string[]> => (await readdir(join(captures, ...path))).toSorted();

test('copies of our plugin that a gateway has left go, and those of others stay', async () => {
  await copy('one', 'openclaw-plugin-build-a', 'openclaw-federation');
  await copy('two', 'openclaw-plugin-build-a', 'openclaw-federation');
  await copy('two', 'openclaw-plugin-build-b', 'somebody-else');
  await copy('two', 'openclaw-plugin-build-c', 'openclaw-federation-of-others');
  await removePluginCopies(scratch.context);
  expect(await left()).toEqual(['two']);
  expect(await left('two')).toEqual(['captures', 'owner.sqlite']);
  expect(await left('two', 'captures')).toEqual(['openclaw-plugin-build-b', 'openclaw-plugin-build-c']);
});

test('those that a gateway runs stay, until it has ended', async () => {
  await copy('runs', 'openclaw-plugin-build-a', 'openclaw-federation');
  const lease = await open(join(captures, 'runs/owner.sqlite'));
  await removePluginCopies(scratch.context);
  expect(await left('runs', 'captures')).toEqual(['openclaw-plugin-build-a']);
  await lease.close();
  await removePluginCopies(scratch.context);
  expect(await left()).toEqual([]);
});

test('a link leads nowhere else, and where there is nothing, nothing happens', async () => {
  await removePluginCopies(scratch.context);
  await copy('elsewhere', 'openclaw-plugin-build-a', 'openclaw-federation');
  const place = { ...scratch.context.place, openclawState: scratch.path('state') };
  await mkdir(scratch.path('state/tmp/plugin-captures'), { recursive: true });
  await symlink(join(captures, 'elsewhere'), scratch.path('state/tmp/plugin-captures/linked'));
  await removePluginCopies({ ...scratch.context, place });
  expect(await left('elsewhere', 'captures')).toEqual(['openclaw-plugin-build-a']);
});

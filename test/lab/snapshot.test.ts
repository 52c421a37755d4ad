import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { differences, takeSnapshot } from './snapshot.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'snapshot-'));
});
afterEach(() => rm(root, { recursive: true }));

const look = () => takeSnapshot({ root });
const at = (name: string) => join(root, name);

test('a change that keeps size and time of a file is seen, and what comes back is as before', async () => {
  const when = new Date(0);
  const write = async (text: string) => {
    await writeFile(at('file'), text);
    await utimes(at('file'), when, when);
  };
  await write('one');
  const before = await look();
  expect(differences(before, await look())).toEqual(new Map());
  await write('two');
  expect([...differences(before, await look()).keys()]).toEqual(['/file']);
  await write('one');
  expect(differences(before, await look())).toEqual(new Map());
});

test('names and links may hold anything', async () => {
  const names = ['a\tb\nc\\', '-rf', 'ü $(id)'];
  for (const name of names) await writeFile(at(name), name);
  await symlink('x\t\ny', at('link'));
  const before = await look();
  expect([...before.keys()].toSorted()).toEqual(['/', '/link', ...names.map((name) => `/${name}`)].toSorted());
  await rename(at('-rf'), at('other'));
  for (const name of names) await writeFile(at(name), 'changed');
  const changed = [...differences(before, await look()).keys()];
  expect(changed).toEqual(['/other', ...names.map((name) => `/${name}`)].toSorted());
});

test('what runs there by itself is left out', async () => {
  await mkdir(at('proc/1'), { recursive: true });
  await mkdir(at('etc'));
  expect([...(await look()).keys()].toSorted()).toEqual(['/', '/etc', '/proc']);
});

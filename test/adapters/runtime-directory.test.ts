import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runtimeDirectory } from '#src/adapters/runtime-directory.ts';

const LONG_AGO = new Date(Date.now() - 3600_000);

async function runtimeBase() {
  const folder = await mkdtemp(join(tmpdir(), 'ocf-run-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const environment = { XDG_RUNTIME_DIR: folder };
  const base = join(folder, 'openclaw-federation');
  await mkdir(base, { mode: 0o700 });

  /** A folder of another hub, whose socket somebody listens on or nobody does. */
  async function left(name: string, socket: 'dead' | 'alive' | 'none', since = LONG_AGO): Promise<void> {
    const path = join(base, name);
    await mkdir(path, { mode: 0o700 });
    for (const file of socket === 'none' ? [] : ['operator.sock', 'plugin.sock']) {
      const server = createServer().listen(join(path, 'bound.sock'));
      await once(server, 'listening');
      await rename(join(path, 'bound.sock'), join(path, file));
      // Its file has another name by now, and stays as that of a process that was killed.
      const close = () => new Promise((resolve) => server.close(resolve));
      if (socket === 'dead') await close();
      else onTestFinished(async () => void (await close()));
    }
    await utimes(path, since, since);
  }

  return { base, left, start: () => runtimeDirectory('/home/ann/fed', environment) };
}

test('a hub that starts removes the folders of those that were killed', async () => {
  const { base, left, start } = await runtimeBase();
  await left('aaaaaaaaaaaa', 'dead');
  await left('bbbbbbbbbbbb', 'none');
  const own = basename(await start());
  expect(await readdir(base)).toEqual([own]);
});

test('it leaves those of hubs that run or start, and what is none of a hub', async () => {
  const { base, left, start } = await runtimeBase();
  await left('aaaaaaaaaaaa', 'alive');
  await left('bbbbbbbbbbbb', 'none', new Date());
  await left('cccccccccccc', 'dead', new Date());
  await left('not-of-a-hub', 'dead');
  await left('dddddddddddd', 'none');
  await writeFile(join(base, 'dddddddddddd', 'notes'), '');
  await utimes(join(base, 'dddddddddddd'), LONG_AGO, LONG_AGO);
  await symlink('/nowhere', join(base, 'eeeeeeeeeeee'));
  const before = await readdir(base);
  const own = basename(await start());
  expect((await readdir(base)).toSorted()).toEqual([...before, own].toSorted());
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockHome } from '#src/adapters/home-lock.ts';
import type { Home } from '#src/adapters/home.ts';
import { openHome } from '#src/adapters/home.ts';
import { startTime } from '#src/adapters/process/start-time.ts';

let home: Home;

beforeEach(async () => {
  home = await openHome(await mkdtemp(join(tmpdir(), 'federation-lock-')));
});
afterEach(() => rm(home.path, { recursive: true }));

test('a living process keeps others of its kind out, and nobody else', async () => {
  const other = spawn('sleep', ['30']);
  await once(other, 'spawn');
  const lock = join(home.path, 'worker.lock');
  await writeFile(lock, `${other.pid} ${startTime(other.pid!)}\n`);
  await expect(lockHome(home, 'worker')).rejects.toMatchObject({
    code: 'ALREADY_RUNNING',
    message: expect.stringContaining(String(other.pid)) as string,
  });
  await (
    await lockHome(home, 'hub')
  )();
  other.kill('SIGKILL');
  await once(other, 'exit');
  const unlock = await lockHome(home, 'worker');
  await unlock();
  expect(await readdir(home.path)).toEqual([]);
});

test.each(['', 'nonsense', '999999999 1', `${process.pid} 1`])('a lock that says %j is a dead one’s', async (text) => {
  await writeFile(join(home.path, 'worker.lock'), text);
  const unlock = await lockHome(home, 'worker');
  expect(await readdir(home.path)).toEqual(['worker.lock']);
  await unlock();
});

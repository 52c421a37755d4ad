import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodeView } from '#src/protocol/hub-api/node.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { Finished, Place } from './place.ts';
import { makePlace } from './place.ts';
import { stubbornTree } from './tree.ts';
import { until } from './until.ts';

describe('deploy-federation local', () => {
  let place: Place;
  let directory: string;
  beforeEach(async () => {
    place = await makePlace();
    directory = place.file('f');
  });
  // Fails where anything of it still runs.
  afterEach(() => place.remove());

  const words = (...more: string[]) => ['local', '--dir', directory, '--workers', '1', '--no-openclaw', ...more];
  const local = (...flags: string[]) => place.run('deploy-federation', ['local', '--dir', directory, ...flags]);
  const manage = (...args: string[]) =>
    place.run('manage-federation', ['--home', join(directory, 'master'), '--json', ...args]);

  async function ask<T>(...args: string[]): Promise<T> {
    const { exitCode, stdout } = await manage(...args);
    expect(exitCode).toBe(0);
    return JSON.parse(stdout) as T;
  }

  /** Starts it in the foreground, and waits until it says that it is ready. */
  async function startInForeground() {
    const running = place.start('deploy-federation', words());
    await until('it is ready', () => running.said().includes('ready;'));
    return running;
  }

  async function untilNothingRuns(): Promise<void> {
    await until('nothing of it runs', () => place.processes().length === 0);
  }

  it('starts nothing in the background when it is interrupted while it waits for that', async () => {
    const running = place.start('deploy-federation', words('--detach'));
    await until('the hub runs', () => running.said().includes('the hub runs'));
    running.kill('SIGINT');
    expect((await running.ended).exitCode).toBe(130);
    await untilNothingRuns();
    expect((await local('--status')).stderr).toContain('no federation runs');
  });

  it('leaves it running with --detach, tells of it with --status, and ends it all with --stop', async () => {
    const started = await place.run('deploy-federation', words('--detach'));
    expect(started).toMatchObject({ exitCode: 0, stdout: '' });
    expect(started.stderr).toContain(`manage-federation --home ${directory}/master list`);
    expect((await ask<NodeView[]>('list')).map(({ name, state }) => [name, state])).toEqual([
      ['master', 'online'],
      ['w1', 'online'],
    ]);
    expect(await local('--status')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^process \d+: ready, 1 worker, without OpenClaw\n$/),
      stderr: '',
    });
    const status = await local('--status', '--json');
    expect(JSON.parse(status.stdout)).toEqual({
      pid: expect.any(Number),
      state: 'ready',
      workers: 1,
      openclaw: false,
      home: join(directory, 'master'),
    });
    expect(await local('--stop')).toEqual({ exitCode: 0, signal: null, stdout: '', stderr: 'stopping\nstopped\n' });
    expect(place.processes()).toEqual([]);
    expect(await local('--status')).toMatchObject({ exitCode: 1 });
  });

  it('does not call a federation ready whose hub does not answer', async () => {
    await place.run('deploy-federation', words('--detach'));
    const record = join(directory, 'master', 'hub.json');
    const text = await readFile(record, 'utf8');
    await rm(record);
    expect(await local('--status')).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/^process \d+: ready, but the hub does not answer, 1 worker, /),
    });
    await writeFile(record, text, { mode: 0o600 });
    expect(await local('--status')).toMatchObject({ exitCode: 0 });
    await local('--stop');
    const ended = await place.run('manage-federation', ['--home', join(directory, 'master'), 'list']);
    expect(ended.stderr).toContain(`  try: start it (deploy-federation local --dir ${directory})`);
  });

  it('keeps what it writes from others, and its secrets out of the logs', async () => {
    await place.run('deploy-federation', words('--detach'));
    await local('--stop');
    for (const folder of [directory, join(directory, 'master'), join(directory, 'w1')]) {
      expect((await stat(folder)).mode & 0o777).toBe(0o700);
      const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
      const modes = await Promise.all(files.map(async ({ name }) => (await stat(join(folder, name))).mode & 0o777));
      expect(Object.fromEntries(files.map(({ name }, at) => [name, modes[at]!.toString(8)]))).toEqual(
        Object.fromEntries(files.map(({ name }) => [name, '600'])),
      );
    }
    expect(await readFile(join(directory, 'master', 'hub.log'), 'utf8')).not.toContain('PRIVATE KEY');
  });

  it('takes the same members up again, and starts beside the jobs of before', async () => {
    await place.run('deploy-federation', words('--detach'));
    const before = await ask<NodeView[]>('list');
    await manage('exec', 'w1', '--', 'true');
    await local('--stop');
    expect(await place.run('deploy-federation', words('--detach'))).toMatchObject({ exitCode: 0 });
    const after = await ask<NodeView[]>('list');
    expect(after.map(({ id, name }) => [id, name])).toEqual(before.map(({ id, name }) => [id, name]));
    expect(await ask<unknown[]>('jobs')).toHaveLength(1);
    await local('--stop');
  });

  it('ends everything at Ctrl-C, also a command that runs', async () => {
    const running = await startInForeground();
    const tree = stubbornTree();
    const exec = place.start('manage-federation', [
      '--home',
      join(directory, 'master'),
      'exec',
      'w1',
      '--',
      'sh',
      '-c',
      tree.script,
    ]);
    await tree.untilGrown();
    running.kill('SIGINT');
    expect(await running.ended).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/stopping\nstopped\n$/) });
    expect((await exec.ended).exitCode).not.toBe(0);
    expect(place.processes()).toEqual([]);
    expect(tree.alive()).toBe(0);
  });

  it('ends everything when it is killed itself, and can then be started again', async () => {
    const running = await startInForeground();
    running.kill('SIGKILL');
    await running.ended;
    await untilNothingRuns();
    const again = await startInForeground();
    expect(await ask<Status>('status')).toMatchObject({ nodes: { online: 2 } });
    again.kill('SIGTERM');
    expect(await again.ended).toMatchObject({ exitCode: 0 });
  });

  it('leaves nothing behind when it is interrupted before it is ready', async () => {
    const running = place.start('deploy-federation', words());
    await until('it has begun', () => running.said().includes('starting a federation'));
    running.kill('SIGINT');
    expect(await running.ended).toMatchObject({
      exitCode: 130,
      stderr: expect.stringMatching(/\nstopping\nstopped\n$/),
    });
    expect(place.processes()).toEqual([]);
  });

  it('says what is wrong when its store is damaged, and leaves nothing behind', async () => {
    await place.run('deploy-federation', words('--detach'));
    await local('--stop');
    await place.startShell(`echo damaged >'${directory}/master/hub.sqlite'`).ended;
    for (const flags of [[], ['--detach']]) {
      const ended: Finished = await place.run('deploy-federation', words(...flags));
      expect(ended.exitCode).toBe(1);
      expect(ended.stderr).toMatch(/\nerror: the hub ended at once, with exit code 1\n {2}try: .*hub\.log.*\n$/);
      expect(place.processes()).toEqual([]);
    }
    expect(await readFile(join(directory, 'master', 'hub.log'), 'utf8')).toContain('is damaged; nothing was changed');
    expect(await readFile(join(directory, 'master', 'hub.sqlite'), 'utf8')).toBe('damaged\n');
  });
});

describe('deploy-federation demo', () => {
  let place: Place;
  beforeEach(async () => {
    place = await makePlace();
  });
  afterEach(() => place.remove());

  it('shows a whole federation and ends by itself, the second time too', async () => {
    for (const time of ['first', 'second']) {
      const words = ['demo', '--once', '--no-openclaw', '--dir', place.file('demo')];
      const ended = await place.run('deploy-federation', words);
      expect([time, ended.exitCode]).toEqual([time, 0]);
      expect(ended.stdout).toMatch(/^w3 +worker +online/m);
      expect(ended.stdout).toMatch(/^Linux /m);
      expect(ended.stdout.match(/^w[123]: .*has been up since/gm)).toHaveLength(3);
      expect(ended.stderr).toContain('the demo is over; everything is stopped');
      expect(place.processes()).toEqual([]);
    }
  });

  it('ends everything at Ctrl-C in the middle of its tour', async () => {
    const running = place.start('deploy-federation', ['demo', '--no-openclaw', '--dir', place.file('demo')]);
    await until('the tour has begun', () => /\$ \S*manage-federation --home \S+ exec/.test(running.said()));
    running.kill('SIGINT');
    expect((await running.ended).exitCode).toBe(130);
    expect(place.processes()).toEqual([]);
  });
});

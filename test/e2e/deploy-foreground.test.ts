import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePort } from '#src/deploy/children/free-port.ts';
import type { NodeDetail, NodeView } from '#src/protocol/hub-api/node.ts';
import type { Place, Running } from './place.ts';
import { makePlace } from './place.ts';
import { until } from './until.ts';

describe('deploy-federation --foreground', () => {
  let place: Place;
  beforeEach(async () => void (place = await makePlace()));
  // Fails where anything of it still runs.
  afterEach(() => place.remove());

  const start = (role: string, home: string, ...more: string[]): Running =>
    place.start('deploy-federation', [role, ...more, '--foreground', '--light', '--home', place.file(home)]);
  const manage = (...args: string[]) => place.run('manage-federation', ['--home', place.file('vps'), ...args]);
  const says = (running: Running, text: string) => until(text, () => running.said().includes(text));

  async function startMaster(): Promise<{ master: Running; hub: string }> {
    const port = await freePort();
    const master = start('master', 'vps', '--port', String(port), '--name', 'vps');
    await says(master, 'ready;');
    return { master, hub: `127.0.0.1:${port}` };
  }

  async function end(running: Running): Promise<void> {
    running.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ exitCode: 0, stdout: '' });
  }

  it('makes a federation of two folders, and takes both up again where they were', async () => {
    const { master, hub } = await startMaster();
    const { stdout: token } = await manage('token', 'create');
    const line = `deploy-federation worker ${hub} --foreground --light --name pi --home pi --token-file -`;
    const worker = place.startShell(`exec ${line}`, { stdin: 'pipe' });
    worker.stdin?.end(token);
    await says(worker, `pi is a member of the federation at ${hub}`);
    expect(worker.said()).not.toContain(token.trim());
    expect((await manage('exec', 'pi', '--', 'echo', 'hello')).stdout).toBe('hello\n');
    expect((await stat(place.file('pi'))).mode & 0o777).toBe(0o700);
    await end(worker);
    await end(master);

    const again = [start('master', 'vps'), start('worker', 'pi')];
    await says(again[0]!, 'ready;');
    await says(again[1]!, 'pi is a member');
    const nodes = JSON.parse((await manage('list', '--json')).stdout) as NodeView[];
    expect(nodes.map(({ name, role, state }) => `${name} ${role} ${state}`).toSorted()).toEqual([
      'pi worker online',
      'vps master online',
    ]);
    for (const running of again) await end(running);
  });

  it('gives a node a new key while it runs, and again after the daemon was killed in the middle', async () => {
    const { master, hub } = await startMaster();
    const { stdout: token } = await manage('token', 'create');
    await mkdir(place.file('pi'), { mode: 0o700 });
    await writeFile(place.file('pi/join-token'), token, { mode: 0o600 });
    const worker = start('worker', 'pi', hub, '--name', 'pi');
    await says(worker, 'pi is a member');
    const rotate = () => place.run('deploy-federation', ['rotate-key', '--home', place.file('pi'), '--json']);
    const shown = async () => (JSON.parse((await manage('show', 'pi', '--json')).stdout) as NodeDetail).fingerprint;

    const first = await shown();
    const { stdout } = await rotate();
    const second = await shown();
    expect(JSON.parse(stdout)).toEqual({ name: 'pi', before: first, after: second });
    expect(second).not.toBe(first);

    const rotating = rotate();
    const { pid } = JSON.parse(await readFile(place.file('pi/worker.json'), 'utf8')) as { pid: number };
    const asked = until('it is asked', () => readFile(place.file('pi/rotate-key.json')).then(Boolean, () => false));
    // Where it was too quick to be seen, it is killed afterwards.
    await Promise.race([asked.catch(() => undefined), rotating]);
    process.kill(pid, 'SIGKILL');
    expect(JSON.parse((await rotating).stdout)).toMatchObject({ name: 'pi', before: second });
    expect(await shown()).toBe((JSON.parse((await rotating).stdout) as { after: string }).after);
    expect((await manage('exec', 'pi', '--', 'echo', 'hello')).stdout).toBe('hello\n');
    await end(worker);
    await end(master);
  });

  it('shows a node without a token what a person compares, and follows it until it is let in', async () => {
    const { master, hub } = await startMaster();
    const worker = start('worker', 'pi', hub, '--name', 'pi');
    await says(worker, 'pi waits for approval (');
    const [, fingerprint = ''] = /waits for approval \(([0-9a-f-]+)\)/.exec(worker.said()) ?? [];
    expect((await manage('approve', fingerprint)).exitCode).toBe(0);
    await says(worker, 'pi is a member');
    await end(worker);
    await end(master);
  });

  it('says what runs there already instead of starting once more, and leaves it as it is', async () => {
    const { master } = await startMaster();
    const worker = start('worker', 'pi', '127.0.0.1:1', '--name', 'pi');
    await says(worker, 'no hub answers');
    const settings = await readFile(place.file('pi/settings.yaml'), 'utf8');
    const masterAgain = start('master', 'vps', '--port', '1');
    const workerAgain = start('worker', 'pi', '127.0.0.1:2', '--name', 'other');
    for (const [again, kind] of [
      [masterAgain, 'hub'],
      [workerAgain, 'worker'],
    ] as const) {
      expect((await again.ended).exitCode).toBe(1);
      expect(again.said()).toMatch(
        new RegExp(
          `^error: process \\d+ is the ${kind} of .*\n  try: stop it first, or give this one another --home\n$`,
        ),
      );
    }
    expect(await readFile(place.file('pi/settings.yaml'), 'utf8')).toBe(settings);
    await end(worker);
    await end(master);
  });

  it('keeps what a person wrote into the settings', async () => {
    await mkdir(place.file('pi'));
    await writeFile(place.file('pi/settings.yaml'), '# mine\nlog:\n  level: debug # more\n');
    const worker = start('worker', 'pi', '127.0.0.1:1', '--name', 'pi', '--exec', 'off');
    await says(worker, 'no hub answers');
    await end(worker);
    expect(await readFile(place.file('pi/settings.yaml'), 'utf8')).toMatchInlineSnapshot(`
      "# mine
      log:
        level: debug # more
      role: worker
      name: pi
      worker:
        hub: 127.0.0.1:1
        exec:
          mode: off
      nodeHost:
        enabled: false
      "
    `);
  });

  it('ends with 1 where a daemon can’t be kept running', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { exitCode, stderr } = await start('master', 'vps', '--port', String(port)).ended;
    taken.close();
    expect(exitCode).toBe(1);
    // What the daemon itself said stands above: a container keeps one log.
    expect(stderr).toContain('is in use');
    expect(stderr).toMatch(/^error: the hub ended at once, with exit code 1\n {2}try: see what it logged last\n$/m);
  });

  it('wants to know the master the first time', async () => {
    const { exitCode, stderr } = await start('worker', 'pi').ended;
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      'error: it is not known where the master is\n  try: deploy-federation worker MASTER --foreground\n',
    );
  });
});

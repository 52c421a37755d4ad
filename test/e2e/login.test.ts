import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { OperatorView } from '#src/protocol/hub-api/operator.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { Finished, StartOptions } from './place.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

let federation: Federation;
let hub: string;
let hubKey: string;

beforeAll(async () => {
  federation = await startFederation({ workers: 2 });
  const { listening, fingerprint } = await federation.ask<Status>('status');
  hub = listening[1]!;
  hubKey = fingerprint;
}, 120_000);

afterAll(() => federation.stop());

const homeOf = (name: string) => federation.place.file(name);
const start = (name: string, args: readonly string[], options?: StartOptions) =>
  federation.place.start('manage-federation', ['--home', homeOf(name), ...args], options);
const run = (name: string, args: readonly string[], options?: StartOptions): Promise<Finished> =>
  start(name, args, options).ended;

async function fingerprintOf(name: string): Promise<string | null> {
  const pending = await federation.ask<PairingRequestView[]>('pending');
  return pending.find((one) => one.name === name)?.fingerprint ?? null;
}

async function loggedIn(name: string): Promise<void> {
  const login = start(name, ['login', hub, '--name', name, '--hub-key', hubKey]);
  await until(`${name} waits`, async () => (await fingerprintOf(name)) !== null);
  expect(await federation.manage(['approve', (await fingerprintOf(name))!])).toMatchObject({ exitCode: 0 });
  expect(await login.ended).toMatchObject({ exitCode: 0 });
}

describe('an operator on another machine', () => {
  beforeAll(() => loggedIn('laptop'), 60_000);

  test('does there what is done on the master', async () => {
    const list = await run('laptop', ['list', '--json']);
    expect(JSON.parse(list.stdout)).toMatchObject([{ state: 'online' }, { state: 'online' }, { state: 'online' }]);
    const broadcast = await run('laptop', ['broadcast', '--json', '--', 'echo', 'here']);
    expect(broadcast.exitCode).toBe(0);
    expect(JSON.parse(broadcast.stdout)).toMatchObject({ summary: { ok: 2 } });
    expect(await run('laptop', ['doctor'])).toMatchObject({ exitCode: 0 });
    const [job] = await federation.ask<JobView[]>('jobs');
    expect(job).toMatchObject({ kind: 'broadcast', by: 'laptop@loopback' });
  });

  test('runs a command with its input, outputs and exit code', async () => {
    const running = start('laptop', ['exec', '-i', 'w1', '--', 'sh', '-c', 'cat; echo err >&2; exit 7'], {
      stdin: 'pipe',
    });
    const input = 'x'.repeat(300_000);
    running.stdin!.end(input);
    const { exitCode, stdout, stderr } = await running.ended;
    expect({ exitCode, stderr, same: stdout === input }).toEqual({ exitCode: 7, stderr: 'err\n', same: true });
  });

  test('ends what it runs with Ctrl-C', async () => {
    const running = start('laptop', ['exec', 'w1', '--', 'sh', '-c', 'echo up; sleep 1000'], { hold: true });
    await until('it runs', async () => (await federation.ask<Status>('status')).jobs.running === 1);
    running.stdout.resume();
    running.kill('SIGINT');
    expect((await running.ended).exitCode).toBe(130);
    expect((await federation.ask<JobView[]>('jobs'))[0]?.summary).toEqual({ cancelled: 1 });
  });

  test('that is killed leaves nothing running', async () => {
    const running = start('laptop', ['exec', 'w1', '--', 'sleep', '1000']);
    await until('it runs', async () => (await federation.ask<Status>('status')).jobs.running === 1);
    running.kill('SIGKILL');
    await running.ended;
    await until('it has ended', async () => (await federation.ask<Status>('status')).jobs.running === 0);
  });

  test('sees who else operates, and is named in the audit', async () => {
    const [operator] = JSON.parse((await run('laptop', ['operators', '--json'])).stdout) as OperatorView[];
    expect(operator).toMatchObject({ name: 'laptop' });
    const { stdout } = await run('laptop', ['token', 'create', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ uses: 1 });
    const audit = await federation.ask<{ action: string; by: string }[]>('audit');
    expect(audit.at(-1)).toMatchObject({ action: 'token.create', by: 'laptop@loopback' });
  });

  test('keeps its key to itself', async () => {
    const key = await stat(join(homeOf('laptop'), 'operator.key'));
    expect((key.mode & 0o777).toString(8)).toBe('600');
    expect(JSON.parse(await readFile(join(homeOf('laptop'), 'login.json'), 'utf8'))).toMatchObject({
      hub,
      name: 'laptop',
    });
  });

  test('that is revoked is told so, in the middle of a command too', async () => {
    await loggedIn('short');
    const running = start('short', ['exec', 'w2', '--', 'sleep', '1000']);
    await until('it runs', async () => (await federation.ask<Status>('status')).jobs.running === 1);
    expect(await federation.manage(['operators', 'revoke', 'short'])).toMatchObject({ exitCode: 0 });
    const { exitCode, stderr } = await running.ended;
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 254,
      stderr: expect.stringContaining('operator was revoked'),
    });
    expect(stderr).not.toContain('hub went away');
    await until('it has ended', async () => (await federation.ask<Status>('status')).jobs.running === 0);
    expect(await run('short', ['list'])).toMatchObject({
      exitCode: 2,
      stderr:
        'error: this operator’s key was revoked\n' +
        '  try: manage-federation logout, then login again, which makes a new key\n',
    });
    expect(await run('short', ['logout'])).toMatchObject({
      exitCode: 0,
      stderr: 'logged out: this machine’s key is gone\n',
    });
  });

  test('logs out, and the hub forgets the key', async () => {
    await loggedIn('leaver');
    expect(await run('leaver', ['logout'])).toMatchObject({ exitCode: 0 });
    const operators = await federation.ask<OperatorView[]>('operators');
    expect(operators.some(({ name }) => name === 'leaver')).toBe(false);
    expect(await run('leaver', ['logout'])).toMatchObject({ exitCode: 3 });
  });

  test('hears at once that the hub is gone', async () => {
    await loggedIn('left');
    const running = start('left', ['exec', 'w2', '--', 'sleep', '1000']);
    await until('it runs', async () => (await federation.ask<Status>('status')).jobs.running === 1);
    const pid = await federation.pidOf('hub');
    process.kill(pid, 'SIGKILL');
    expect((await running.ended).exitCode).toBe(254);
    await until('it is gone', () => !isAlive(pid));
    await until('it is back', async () => (await run('left', ['list'])).exitCode === 0);
  });
});

describe('a login', () => {
  test('asks nobody but a person for the hub’s key', async () => {
    const { exitCode, stderr } = await run('new', ['login', hub]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr:
        `error: nobody confirmed the hub’s key ${hubKey}\n` +
        `  try: compare it with what manage-federation status shows on the master, then add: --hub-key ${hubKey}\n`,
    });
    expect(await federation.ask('pending')).toEqual([]);
  });

  test.each([
    ['a hub with another key', ['--hub-key', '0000-0000-0000-0000'], 2, 'not that one'],
    ['what is no fingerprint', ['--hub-key', 'abc'], 2, 'is no fingerprint'],
    ['a name that is none', ['--name', 'My Laptop', '--hub-key', '0000-0000-0000-0000'], 2, 'use my-laptop'],
  ])('refuses %s', async (_, flags, exitCode, said) => {
    const finished = await run('new', ['login', hub, ...flags]);
    expect(finished.exitCode).toBe(exitCode);
    expect(finished.stderr).toMatch(/^error: .*\n {2}try: .*\n$/);
    expect(finished.stderr).toContain(said);
  });

  test.each(['192.0.2.1', '192.0.2.1:19000', '[2001:db8::1]'])('sends nothing to %s', async (address) => {
    const { exitCode, stderr } = await run('new', ['login', address, '--hub-key', hubKey]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('is outside the tailnet, where others could read what is sent');
  });

  test('is for no master', async () => {
    const { exitCode, stderr } = await federation.manage(['login', hub]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('this is the master');
  });

  test('that is interrupted says how it goes on', async () => {
    const waiting = start('patient', ['login', hub, '--name', 'patient', '--hub-key', hubKey]);
    await until('it waits', () => waiting.said().includes('waits for approval as patient'));
    waiting.kill('SIGINT');
    const { exitCode, stderr } = await waiting.ended;
    expect(exitCode).toBe(130);
    expect(stderr).toContain(`once the master approved it: manage-federation login ${hub}`);
    expect(await federation.manage(['approve', 'patient'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('is not let in by its name'),
    });
    expect(await federation.manage(['approve', (await fingerprintOf('patient'))!])).toMatchObject({ exitCode: 0 });
    expect(await run('patient', ['login', hub, '--name', 'patient', '--hub-key', hubKey])).toMatchObject({
      exitCode: 0,
    });
  });

  test('that is damaged says so', async () => {
    await loggedIn('broken');
    await federation.place.startShell(`echo '{' > ${homeOf('broken')}/login.json`).ended;
    const { exitCode, stderr } = await run('broken', ['list']);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^error: .*login\.json is damaged\n {2}try: manage-federation logout, then login again\n$/);
    expect(await run('broken', ['logout'])).toMatchObject({ exitCode: 0 });
  });
});

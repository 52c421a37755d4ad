import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { startFederation } from './federation.ts';
import type { CommandName, Running } from './place.ts';
import { until } from './until.ts';

const EVERYBODY = 'rules: [{ name: all, when: { address: 127.0.0.0/8 }, then: approve }]\n';

it('lets a machine in by itself by a rule, and by one for everybody only where that is said in full', async () => {
  const federation = await startFederation({ workers: 1 });
  const running: Running[] = [];
  onTestFinished(async () => {
    for (const one of running) one.kill('SIGTERM');
    await Promise.all(running.map(({ ended }) => ended));
    await federation.stop();
  });
  const start = (command: CommandName, ...args: string[]): Running => {
    const started = federation.place.start(command, args);
    running.push(started);
    return started;
  };
  await writeFile(join(federation.home, 'approval-policy.yaml'), EVERYBODY);
  await until('the rules are refused', async () => (await federation.ask<Status>('status')).policy.state === 'broken');
  expect((await federation.manage(['status'])).stdout).toMatch(/^policy +broken: .*would approve everybody.*$/m);

  const home = federation.place.file('pi');
  await mkdir(home, { mode: 0o700 });
  const { address, port } = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as Status & {
    address: string;
    port: number;
  };
  start('federation-worker', '--home', home, '--name', 'pi', '--hub', `${address}:${port}`);
  const careful = start('auto-register', '--watch', '--home', federation.home);
  await until('it is held', () => /"message":"held".*"node":"pi"|"node":"pi".*"message":"held"/.test(careful.said()));
  expect(careful.said()).toContain('would approve everybody');
  careful.kill('SIGTERM');
  expect(await careful.ended).toMatchObject({ exitCode: 0, stdout: '' });

  const once = async (...args: string[]) => {
    const ended = await federation.place.run('auto-register', ['--home', federation.home, ...args]);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '' });
    return ended.stdout;
  };
  const refused = await federation.place.run('auto-register', ['--home', federation.home, '--once']);
  expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
  expect(refused.stderr).toMatch(/^error: approval-policy\.yaml can’t be used, .*would approve everybody.*\n {2}try: /);
  expect(await once('--once', '--dry-run', '--approve-everything')).toMatch(/^would approve pi /);
  expect(JSON.parse(await once('--once', '--dry-run', '--json', '--approve-everything'))).toMatchObject([
    { name: 'pi', verdict: 'approve', done: 'nothing' },
  ]);
  expect(JSON.parse(await once('--explain', 'pi', '--json', '--approve-everything'))).toMatchObject({
    ...{ verdict: 'approve', rule: 'all', rules: [{ rule: 'all', decides: true }] },
  });
  expect(await once('--explain', 'pi', '--approve-everything')).toContain('1. all (approve): decides');
  expect(await federation.ask<PairingRequestView[]>('pending')).toMatchObject([{ name: 'pi', rejected: false }]);

  const bold = start('auto-register', '--watch', '--approve-everything', '--home', federation.home);
  await federation.untilState('pi', 'online');
  expect(await federation.manage(['exec', 'pi', '--', 'echo', 'here'])).toMatchObject({ stdout: 'here\n' });
  await until('it says so', () => bold.said().includes('"done":"approved"'));
  await until('it is usable', () =>
    /"message":"usable".*"node":"pi"|"node":"pi".*"message":"usable"/.test(bold.said()),
  );
});

it('says what is wrong with a call that names no one thing to do', async () => {
  const federation = await startFederation({ workers: 1 });
  onTestFinished(() => federation.stop());
  const run = (...args: string[]) => federation.place.run('auto-register', ['--home', federation.home, ...args]);
  for (const args of [[], ['--once', '--watch']]) {
    expect(await run(...args)).toEqual({
      ...{ exitCode: 2, signal: null, stdout: '' },
      stderr: 'error: name one of --watch, --once and --explain REQUEST\n  try: auto-register --help\n',
    });
  }
  expect(await run('--explain', 'nobody')).toMatchObject({
    exitCode: 3,
    stderr: 'error: nothing that waits for approval fits "nobody"\n  try: manage-federation pending\n',
  });
});

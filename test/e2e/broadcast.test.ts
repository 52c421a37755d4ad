import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import { isAlive, programsWith } from './processes.ts';
import { stubbornTree } from './tree.ts';
import { until } from './until.ts';

describe('broadcast', () => {
  let federation: Federation;
  beforeAll(async () => {
    federation = await startFederation({
      workers: 4,
      env: { OPENCLAW_FEDERATION_WORKER_KILL_AFTER_SECONDS: '1' },
    });
  });
  afterAll(() => federation.stop());

  it('runs on every worker and not on the master, and names each line’s node', async () => {
    const ended = await federation.manage(['broadcast', '--', 'printf', 'one\\ntwo']);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '4 ok\n' });
    const lines = ended.stdout.split('\n').slice(0, -1);
    expect(lines.toSorted()).toEqual(['w1', 'w2', 'w3', 'w4'].flatMap((node) => [`${node}: one`, `${node}: two`]));
  });

  it('runs one string by a shell, as the older scripts did', async () => {
    const ended = await federation.manage(['broadcast', 'echo a b | wc -w']);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '4 ok\n' });
    expect(ended.stdout.split('\n').toSorted()).toEqual(['', 'w1: 2', 'w2: 2', 'w3: 2', 'w4: 2']);
    expect(await federation.manage(['broadcast', 'uptime'])).toMatchObject({ exitCode: 0 });
  });

  it('means the same as exec --all', async () => {
    const ended = await federation.manage(['exec', '--all', '--', 'echo', 'here']);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '4 ok\n' });
    expect(ended.stdout.split('\n').toSorted()).toEqual(['', 'w1: here', 'w2: here', 'w3: here', 'w4: here']);
  });

  it('leaves with 1 where some failed', async () => {
    const failing = await federation.pidOf('w2');
    const ended = await federation.manage(['broadcast', '--', 'sh', '-c', `[ $PPID -ne ${failing} ] || exit 9`]);
    expect(ended).toEqual({ exitCode: 1, signal: null, stdout: '', stderr: '3 ok, 1 failed\n  w2: exit 9\n' });
  });

  it('tells a failing, a slow and a dead worker apart, counts all, and leaves with 4', async () => {
    const [failing, slow, dead] = await Promise.all([
      federation.pidOf('w2'),
      federation.pidOf('w3'),
      federation.pidOf('w4'),
    ]);
    const mark = `86400.${randomInt(1e9)}`;
    const script = `[ $PPID -ne ${failing} ] || exit 9; [ $PPID -ne ${slow} ] || sleep ${mark}; echo done`;
    process.kill(dead, 'SIGSTOP');
    try {
      const ended = await federation.manage(['--json', 'broadcast', '--timeout', '2s', '--', 'sh', '-c', script]);
      expect(ended).toMatchObject({ exitCode: 4, stderr: '' });
      const answer = JSON.parse(ended.stdout) as JobView;
      expect(answer.summary).toEqual({ ok: 1, failed: 1, timeout: 1, unknown: 1 });
      expect(answer.results.map(({ node, outcome, exitCode }) => [node, outcome, exitCode])).toEqual([
        ['w1', 'ok', 0],
        ['w2', 'failed', 9],
        ['w3', 'timeout', null],
        ['w4', 'unknown', null],
      ]);
      expect(programsWith('sleep', mark)).toEqual([]);
    } finally {
      process.kill(dead, 'SIGCONT');
    }
    await federation.untilState('w4', 'online');
  });

  it('is unknown for a worker that is killed under way, and never 0', async () => {
    const dying = await federation.pidOf('w4');
    const mark = `86400.${randomInt(1e9)}`;
    const running = federation.startManage(['broadcast', '--', 'sh', '-c', `[ $PPID -ne ${dying} ] || sleep ${mark}`]);
    await until('the command runs there', () => programsWith('sleep', mark)[0]);
    process.kill(dying, 'SIGKILL');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 4, stdout: '' });
    expect(ended.stderr).toMatch(/^3 ok, 1 unknown\n {2}w4: unknown: .*may have run\n$/);
    await federation.untilState('w4', 'online');
  });

  it('says which workers it left out because they are offline', async () => {
    // Nobody is to start the worker daemon again while it is needed dead.
    const supervisor = await federation.pidOf('supervisor');
    process.kill(supervisor, 'SIGSTOP');
    try {
      const dead = await federation.pidOf('w3');
      process.kill(dead, 'SIGKILL');
      await until('it is dead', () => !isAlive(dead));
      await federation.untilState('w3', 'offline');
      const ended = await federation.manage(['broadcast', '--', 'true']);
      expect(ended).toEqual({ exitCode: 0, signal: null, stdout: '', stderr: 'left out: w3 (offline)\n3 ok\n' });
      const json = await federation.manage(['--json', 'broadcast', '--', 'true']);
      expect(json).toMatchObject({ exitCode: 0, stderr: 'left out: w3 (offline)\n' });
      expect(JSON.parse(json.stdout)).toMatchObject({ summary: { ok: 3 } });
    } finally {
      process.kill(supervisor, 'SIGCONT');
    }
    await federation.untilState('w3', 'online');
  });

  it('ends everything everywhere at Ctrl-C, and leaves with 130', async () => {
    const trees = stubbornTree();
    const running = federation.startManage(['broadcast', '--', 'sh', '-c', trees.script]);
    await until('it runs on all', () => trees.alive() === 4 * 6);
    running.kill('SIGINT');
    const ended = await running.ended;
    expect(ended).toMatchObject({ exitCode: 130, stdout: '' });
    expect(ended.stderr).toContain('4 cancelled');
    expect(trees.alive()).toBe(0);
  });
});

describe('broadcast to more than ten nodes', () => {
  let federation: Federation;
  beforeAll(async () => {
    federation = await startFederation({ workers: 11 });
  });
  afterAll(() => federation.stop());

  it('runs nothing without a terminal to ask on, unless --yes is given', async () => {
    const proof = federation.place.file('proof');
    const command = ['--', 'sh', '-c', `echo ran >>'${proof}'`];
    for (const words of [['broadcast'], ['exec', '--all']]) {
      expect(await federation.manage([...words, ...command])).toEqual({
        exitCode: 2,
        signal: null,
        stdout: '',
        stderr: 'error: this runs on 11 nodes\n  try: add --yes\n',
      });
    }
    expect(await federation.ask('jobs')).toEqual([]);
    const confirmed = await federation.manage(['--yes', 'broadcast', ...command]);
    expect(confirmed).toMatchObject({ exitCode: 0, stderr: '11 ok\n' });
    const ran = await federation.manage(['exec', 'w1', '--', 'grep', '-c', 'ran', proof]);
    expect(ran).toMatchObject({ stdout: '11\n' });
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '#src/core/finding.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import type { Pruned } from '#src/protocol/hub-api/prune.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import { until } from './until.ts';

describe('what an operator does with members', () => {
  let federation: Federation;
  beforeAll(async () => {
    federation = await startFederation({ workers: 3 });
  });
  afterAll(() => federation.stop());

  const manage = (...args: readonly string[]) => federation.manage(args);

  it('renames one, which then runs commands under that name', async () => {
    expect(await manage('rename', 'w3', 'cellar')).toMatchObject({ exitCode: 0, stderr: 'w3 is cellar now\n' });
    expect(await manage('exec', 'cellar', '--', 'echo', 'hi')).toMatchObject({ exitCode: 0, stdout: 'hi\n' });
    expect(await manage('exec', 'w3', '--', 'true')).toMatchObject({ exitCode: 3 });
    expect(await manage('rename', 'cellar', 'w3')).toMatchObject({ exitCode: 0 });
  });

  it('labels one and takes a label away', async () => {
    await manage('label', 'w1', 'env=home', 'gpu=no');
    expect(await manage('label', 'w1', 'gpu-')).toMatchObject({ exitCode: 0, stderr: 'w1: env=home\n' });
    expect((await federation.ask<NodeDetail>('show', 'w1')).labels).toEqual({ env: 'home' });
  });

  it('groups some, runs on the group, and leaves out who is drained', async () => {
    expect(await manage('group')).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await manage('group', 'add', 'gpu', 'w1', 'w2')).toMatchObject({ exitCode: 0 });
    expect((await manage('group')).stdout).toBe('GROUP  NODES\n@gpu   w1, w2\n');
    expect(await manage('exec', '@gpu', '--', 'echo', 'hi')).toMatchObject({ exitCode: 0, stderr: '2 ok\n' });
    await manage('drain', 'w2');
    const left = 'left out: w2 (online, drained)\n1 ok\n';
    expect(await manage('broadcast', '@gpu', 'echo hi')).toEqual({
      ...{ exitCode: 0, signal: null },
      ...{ stdout: 'w1: hi\n', stderr: left },
    });
    expect((await manage('broadcast', '@gpu', 'w3', '--', 'true')).stderr).toBe(left.replace('1 ok', '2 ok'));
    expect((await manage('list')).stdout).toMatch(/^w2 +worker +online, drained/m);
    expect(await manage('exec', 'w2', '--', 'true')).toMatchObject({ exitCode: 0, stderr: '' });
    await manage('undrain', 'w2');
    expect(await manage('broadcast', '--', 'true')).toMatchObject({ exitCode: 0, stderr: '3 ok\n' });
    await manage('group', 'remove', 'gpu', 'w1', 'w2');
    expect(await manage('exec', '@gpu', '--', 'true')).toMatchObject({ exitCode: 3 });
  });

  it('runs on all that have a label, and takes a line with a variable for what it is', async () => {
    await manage('label', 'w1', 'env=home', 'arm=');
    await manage('label', 'w3', 'env=home');
    expect(await manage('exec', 'env=home', '--', 'true')).toMatchObject({ exitCode: 0, stderr: '2 ok\n' });
    expect(await manage('broadcast', 'tags:arm', 'echo hi')).toMatchObject({ stdout: 'w1: hi\n', stderr: '1 ok\n' });
    expect(await manage('broadcast', 'tags:arm', 'w2', '--', 'true')).toMatchObject({ stderr: '2 ok\n' });
    expect(await manage('broadcast', 'env=home true')).toMatchObject({ exitCode: 0, stderr: '3 ok\n' });
  });

  it('changes none where one of several is no member', async () => {
    expect(await manage('drain', 'w1', 'none')).toMatchObject({ exitCode: 3 });
    expect((await federation.ask<NodeDetail>('show', 'w1')).drained).toBe(false);
  });

  it.each([
    [['rename', 'w1', 'No Name'], 2, /a node name is/],
    [['rename', 'w1', 'w2'], 2, /the name w2 belongs to another node/],
    [['label', 'w1', 'self/os=linux'], 2, /is what a node says of itself/],
    [['label', 'w1', 'Env=x'], 2, /is no label/],
    [['label', 'w1', 'env'], 2, /neither KEY=VALUE nor KEY-/],
    [['group', 'add', 'No Group', 'w1'], 2, /a group is named as a node is/],
    [['prune', '--unseen', '5m'], 2, /--unseen: 5m is under 1 h/],
    [['prune', '--unseen', 'long'], 2, /is not a time/],
    [['lockdown', '--lift', '--reason', 'x'], 2, /--lift takes no --reason/],
    [['lockdown', '--reason', ''], 2, /--reason: nothing is given/],
    [['exec', '@none', '--', 'true'], 3, /no node is in a group "none"/],
    [['exec', 'tags:none', '--', 'true'], 3, /no node has the label "none"/],
    [['exec', 'self/os=linux', '--', 'true'], 2, /says of itself, and selects nobody/],
  ])('says of %j what is wrong and what to do', async (args, exitCode, message) => {
    const ended = await manage(...args);
    expect(ended).toMatchObject({ exitCode, stdout: '' });
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).toMatch(/^error: .+\n {2}try: .+\n$/);
  });

  it('locks down: what runs ends, all else is denied, and everything says so until it is lifted', async () => {
    const running = federation.startManage(['exec', 'w1', '--', 'sleep', '60']);
    await until('it runs', async () => (await federation.ask<NodeDetail>('show', 'w1')).running === 1);
    const begun = await manage('lockdown', '--reason', 'a drill');
    expect(begun).toMatchObject({ exitCode: 0, stdout: '' });
    expect(begun.stderr).toBe(
      'locked down: no command runs on any node until: manage-federation lockdown --lift\n1 job was ended\n',
    );
    expect((await running.ended).exitCode).toBe(130);

    const denied = await manage('exec', 'w1', '--', 'true');
    expect(denied).toMatchObject({ exitCode: 255, stdout: '' });
    expect(denied.stderr).toMatch(
      /^w1: denied: the federation was locked down by .+ \(a drill\); .+ --lift ends that\n$/,
    );
    expect(await manage('broadcast', '--', 'true')).toMatchObject({ exitCode: 6 });
    const listed = await manage('list');
    expect(listed).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^locked down .+ \(a drill\)/) as string,
    });
    expect((await manage('status')).stdout).toMatch(/^lockdown +locked down .+ \(a drill\)/m);
    const findings = JSON.parse((await manage('--json', 'doctor')).stdout) as Finding[];
    expect(findings).toContainEqual(expect.objectContaining({ check: 'lockdown', state: 'warn' }));

    process.kill(await federation.pidOf('hub'), 'SIGKILL');
    await until('the hub is back', async () => (await manage('status')).exitCode === 0, 60_000);
    expect((await federation.ask<Status>('status')).lockdown).toMatchObject({ reason: 'a drill' });
    expect(await manage('lockdown', '--lift')).toMatchObject({ exitCode: 0, stderr: 'lifted: commands run again\n' });
    expect((await federation.ask<Status>('status')).lockdown).toBeNull();
    await federation.untilState('w1', 'online');
    expect(await manage('exec', 'w1', '--', 'true')).toMatchObject({ exitCode: 0 });
  });

  it('prunes what was revoked, shown before and never without a word of consent', async () => {
    expect(await manage('prune')).toMatchObject({ exitCode: 0, stderr: 'no ghosts\n' });
    await manage('--yes', 'revoke', 'w3');
    const shown = await manage('prune', '--dry-run');
    expect(shown.stdout).toMatch(/^w3 +former member +was revoked 0 h ago/m);
    expect(await manage('prune')).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringContaining('--yes') as string,
    });
    const { ghosts, done } = JSON.parse((await manage('--json', '--yes', 'prune')).stdout) as Pruned;
    expect({ names: ghosts.map(({ name }) => name), done }).toEqual({ names: ['w3'], done: true });
    expect((await manage('list')).stdout).not.toMatch(/^w3/m);
    // Its daemon is there still, and its key stays barred: no rule can let it in.
    expect(await federation.ask('pending')).toEqual([]);
  });
});

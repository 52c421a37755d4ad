import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { TokenCreated } from '#src/protocol/hub-api/token.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { Running } from './place.ts';
import { isAlive } from './processes.ts';
import { until } from './until.ts';

const ID = /^[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('the operator of a federation', () => {
  let federation: Federation;
  const workers: Running[] = [];
  beforeAll(async () => {
    federation = await startFederation({ workers: 2 });
  });
  afterAll(async () => {
    for (const worker of workers) worker.kill('SIGTERM');
    await Promise.all(workers.map(({ ended }) => ended));
    await federation.stop();
  });

  /** A worker daemon as one starts it by hand, with what is in its home. */
  async function startWorker(name: string, folder: string, token?: string) {
    const home = federation.place.file(folder);
    await mkdir(home, { recursive: true, mode: 0o700 });
    if (token !== undefined) await writeFile(join(home, 'join-token'), `${token}\n`, { mode: 0o600 });
    const { address, port } = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as {
      address: string;
      port: number;
    };
    const flags = ['--home', home, '--name', name, '--hub', `${address}:${port}`];
    const running = federation.place.start('federation-worker', flags);
    workers.push(running);
    const record = async () => {
      const text = await readFile(join(home, 'worker.json'), 'utf8').catch(() => null);
      return text === null ? null : (JSON.parse(text) as WorkerRecord);
    };
    return {
      home,
      running,
      record,
      untilLink: (link: WorkerRecord['link']) =>
        until(`the link of ${name} is ${link}`, async () => {
          const found = await record();
          return found?.link === link ? found : null;
        }),
    };
  }

  it('sees every node with its state in list, the master too', async () => {
    const ended = await federation.manage(['list']);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '' });
    expect(ended.stdout.split('\n').map((line) => line.split(/\s+/).slice(0, 3).join(' '))).toEqual([
      'NAME ROLE STATE',
      'master master online',
      'w1 worker online',
      'w2 worker online',
      '',
    ]);
  });

  it('gets list as JSON with the fields that programs rely on', async () => {
    const node = (name: string, role: string) => ({
      id: expect.stringMatching(ID),
      name,
      role,
      state: 'online',
      labels: {},
      groups: [],
      drained: false,
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      openclaw: { nodeHost: 'none', deviceId: null, commands: [] },
      lastSeenAt: expect.stringMatching(TIME),
    });
    expect(await federation.ask('list')).toEqual([
      node('master', 'master'),
      node('w1', 'worker'),
      node('w2', 'worker'),
    ]);
  });

  it('takes --json and --home in front of the command as behind it', async () => {
    const behind = await federation.place.run('manage-federation', ['list', '--json', '--home', federation.home]);
    expect(behind).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(behind.stdout)).toHaveLength(3);
  });

  it('finds the hub by the environment, and a flag goes before it', async () => {
    const env = { OPENCLAW_FEDERATION_HOME: federation.home };
    const byName = await federation.place.run('manage-federation', ['list'], { env });
    expect(byName).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('w2') });
    const elsewhere = await federation.manage(['list'], { env: { OPENCLAW_FEDERATION_HOME: '/nowhere' } });
    expect(elsewhere).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('w2') });
  });

  it('sees the hub in numbers in status', async () => {
    const status = await federation.ask<Status>('status');
    expect(status).toMatchObject({
      pid: await federation.pidOf('hub'),
      nodes: { online: 3, suspect: 0, offline: 0, revoked: 0, quarantined: 0 },
      pending: 0,
      jobs: { running: 0 },
      gateway: { state: 'absent' },
    });
    const words = await federation.manage(['status']);
    expect(words).toMatchObject({ exitCode: 0, stderr: '' });
    expect(words.stdout).toContain(`process ${status.pid}`);
    expect(words.stdout).toMatch(/^nodes +3 online$/m);
  });

  it('sees one node whole in show, by name, id or the beginning of the id', async () => {
    const byName = await federation.ask<NodeDetail>('show', 'w1');
    expect(byName).toMatchObject({ name: 'w1', id: expect.stringMatching(ID), state: 'online', offers: ['exec'] });
    for (const word of [byName.id, byName.id.slice(0, 8), byName.fingerprint]) {
      expect((await federation.ask<NodeDetail>('show', word)).id).toBe(byName.id);
    }
    const words = await federation.manage(['show', 'w1']);
    expect(words.stdout).toContain(byName.fingerprint);
  });

  it('lets a machine join by a token, once, with the name and the labels of the token', async () => {
    const words = await federation.manage(['token', 'create', '--name', 'pi', '--labels', 'place=shed,gpu=no']);
    expect(words).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^\S+\n$/) });
    expect(words.stderr).toContain('it is not shown again');
    expect(words.stderr).toMatch(/ && federation-worker --home ~\/pi --name pi --hub \S+:\d+$/m);
    const token = words.stdout.trim();
    const joining = await startWorker('pi', 'pi', token);
    await joining.untilLink('member');
    const node = await federation.ask<NodeDetail>('show', 'pi');
    expect(node).toMatchObject({ state: 'online', role: 'worker', labels: { place: 'shed', gpu: 'no' } });
    expect(await federation.manage(['exec', 'pi', '--', 'echo', 'here'])).toMatchObject({ stdout: 'here\n' });
    // A token is used up.
    const again = await startWorker('pi-too', 'pi-too', token);
    const { problem } = await again.untilLink('refused');
    expect(problem?.code).toMatch(/^TOKEN_/);
    expect(await federation.stateOf('pi-too')).toBe('no member');
    expect(JSON.stringify(await federation.ask('audit'))).not.toContain(token);
  });

  it('gets a token as JSON', async () => {
    const created = await federation.ask<TokenCreated>('token', 'create', '--ttl', '1h', '--uses', '3');
    expect(created).toEqual({
      id: expect.stringMatching(ID),
      token: expect.any(String),
      expiresAt: expect.stringMatching(TIME),
      uses: 3,
    });
  });

  it('sees who waits, and admits whom it approves', async () => {
    const asking = await startWorker('shed', 'shed');
    const { fingerprint } = await asking.untilLink('waiting');
    const requests = await federation.ask<PairingRequestView[]>('pending');
    expect(requests.find(({ name }) => name === 'shed')).toMatchObject({ fingerprint, rejected: false, held: null });
    const pending = await federation.manage(['pending']);
    expect(pending).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('compare the fingerprint') });
    expect(pending.stdout).toMatch(/^[0-9a-f]{6,} +shed +to join as worker /m);
    expect(pending.stdout).toContain(`fingerprint ${fingerprint}, from 127.0.0.1`);
    for (const command of [
      ['exec', 'shed', '--', 'true'],
      ['revoke', 'shed'],
    ]) {
      expect(await federation.manage(command)).toMatchObject({
        exitCode: 3,
        stderr: 'error: shed waits for approval\n  try: manage-federation approve shed\n',
      });
    }
    const approved = await federation.manage(['approve', fingerprint]);
    expect(approved).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(
        new RegExp(String.raw`^approved shed \(${fingerprint}\) as worker\n[^]*shed is usable\n$`),
      ),
    });
    await asking.untilLink('member');
    expect(await federation.manage(['exec', 'shed', '--', 'echo', 'here'])).toMatchObject({ stdout: 'here\n' });
  });

  it('refuses an approval of a name that two machines ask for, and lists both', async () => {
    const two = [await startWorker('twin', 'twin-1'), await startWorker('twin', 'twin-2')];
    const records = await Promise.all(two.map(({ untilLink }) => untilLink('waiting')));
    const ended = await federation.manage(['approve', 'twin']);
    expect(ended).toMatchObject({ exitCode: 3, stdout: '' });
    for (const { id } of records) expect(ended.stderr).toContain(id.slice(0, 12));
    expect(await federation.stateOf('twin')).toBe('no member');
  });

  it('holds a node back that asks for the name of a member, until that one is to be replaced', async () => {
    const asking = await startWorker('shed', 'shed-new');
    const { id, held } = await asking.untilLink('waiting');
    expect(held).not.toBeNull();
    const plain = await federation.manage(['approve', id]);
    expect(plain).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^error: .+\n {2}try: .*--replace.*\n$/),
    });
    expect((await federation.ask<NodeDetail>('show', 'shed')).id).not.toBe(id);
    expect(await federation.manage(['approve', '--replace', id])).toMatchObject({ exitCode: 0 });
    await asking.untilLink('member');
    expect((await federation.ask<NodeDetail>('show', 'shed')).id).toBe(id);
  });

  it('rejects who asks, and then lets nothing run there', async () => {
    const asking = await startWorker('stranger', 'stranger');
    const { id } = await asking.untilLink('waiting');
    expect(await federation.manage(['reject', 'stranger'])).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^rejected stranger/),
    });
    const request = (await federation.ask<PairingRequestView[]>('pending')).find((one) => one.id === id);
    expect(request).toMatchObject({ rejected: true });
    expect((await federation.manage(['exec', 'stranger', '--', 'true'])).stderr).toContain('stranger was rejected');
    expect(await federation.stateOf('stranger')).toBe('no member');
  });

  it('puts a member out by revoke: its jobs end, its link closes, and it does not come back', async () => {
    const joining = await startWorker(
      'leaving',
      'leaving',
      (await federation.ask<TokenCreated>('token', 'create')).token,
    );
    await joining.untilLink('member');
    const running = federation.startManage([
      '--json',
      'exec',
      'leaving',
      '--',
      'sh',
      '-c',
      'echo $$; exec sleep 86400',
    ]);
    const job = await until('the job runs', async () => {
      const { running: count } = await federation.ask<NodeDetail>('show', 'leaving');
      return count === 1;
    });
    expect(job).toBe(true);
    const revoked = await federation.manage(['revoke', 'leaving']);
    expect(revoked).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^revoked leaving: its link is closed and its jobs were ended$/m),
    });
    const ended = await running.ended;
    const answer = JSON.parse(ended.stdout) as { results: { stdout: string; outcome: string }[] };
    expect(['cancelled', 'unknown']).toContain(answer.results[0]!.outcome);
    expect(ended.exitCode).not.toBe(0);
    await until('its process is gone', () => !isAlive(Number(answer.results[0]!.stdout)));
    await joining.untilLink('refused');
    expect(await federation.stateOf('leaving')).toBe('revoked');
    expect(await federation.manage(['exec', 'leaving', '--', 'true'])).toMatchObject({
      exitCode: 3,
      stderr: expect.stringMatching(/^error: leaving was revoked\n  try: manage-federation approve [0-9a-f-]{19}\n$/),
    });
  });

  it('says of a member that was not there only that it is out', async () => {
    const { token } = await federation.ask<TokenCreated>('token', 'create');
    const joining = await startWorker('away', 'away', token);
    await joining.untilLink('member');
    joining.running.kill('SIGTERM');
    await until('it is offline', async () => (await federation.stateOf('away')) === 'offline');
    expect((await federation.manage(['revoke', 'away'])).stderr).toBe(
      'revoked away: it was not connected, and is let in no more\n',
    );
  });

  it('can’t put out the master’s own node', async () => {
    expect(await federation.manage(['--yes', 'revoke', 'master'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/^error: master is the master’s own node\n {2}try: .+\n$/),
    });
    expect(await federation.stateOf('master')).toBe('online');
  });

  it('sees what ran, the latest first', async () => {
    await federation.manage(['exec', 'w1', '--', 'sh', '-c', 'exit 4']);
    await federation.manage(['exec', 'w2', 'echo  latest']);
    const jobs = await federation.ask<JobView[]>('jobs', '--limit', '2');
    expect(jobs).toMatchObject([
      { kind: 'exec', command: 'echo  latest', summary: { ok: 1 }, results: [{ node: 'w2', outcome: 'ok' }] },
      { kind: 'exec', summary: { failed: 1 }, results: [{ node: 'w1', outcome: 'failed', exitCode: 4 }] },
    ]);
    const words = await federation.manage(['jobs', '--limit', '1']);
    expect(words).toMatchObject({ exitCode: 0, stderr: '' });
    expect(words.stdout.split('\n')).toHaveLength(3);
    expect(words.stdout).toMatch(/echo latest +1 ok\n$/);
  });

  it('sees who did what in the audit: a record before each job and one after it', async () => {
    const { job } = (await federation.ask<JobView[]>('jobs', '--limit', '1'))[0]!;
    const records = await federation.ask<AuditView[]>('audit', '--limit', '1000');
    const ofJob = records.filter(({ detail }) => detail['job'] === job);
    expect(ofJob.map(({ action }) => action).toSorted()).toEqual(['job.end', 'job.start']);
    expect(records.map(({ action }) => action)).toEqual(expect.arrayContaining(['node.approve']));
    expect(await federation.manage(['audit', 'verify'])).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^the audit is whole: \d+ records\n$/),
      stderr: '',
    });
    expect(await federation.ask('audit', 'verify')).toMatchObject({ whole: true, fault: null });
  });

  it('never writes the value of a variable into jobs or audit', async () => {
    const secret = 'value-that-nobody-may-read';
    await federation.manage(['exec', 'w1', '--env', 'SECRET', '--', 'true'], { env: { SECRET: secret } });
    const all = JSON.stringify([await federation.ask('jobs'), await federation.ask('audit', '--limit', '1000')]);
    expect(all).toContain('SECRET');
    expect(all).not.toContain(secret);
  });

  it('finds nothing broken with doctor, and is told what waits', async () => {
    const ended = await federation.manage(['doctor']);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '' });
    expect(ended.stdout).toMatch(/^ok {4}hub: process \d+/m);
    expect(ended.stdout).toMatch(/^ok {4}audit: \d+ records, whole$/m);
    expect(ended.stdout).toMatch(/^warn {2}pending: .*twin/m);
    expect(ended.stdout).not.toContain('FAIL');
  });

  // It stops the federation that the tests above share: the last one.
  it('finds with doctor and audit verify what is broken', async () => {
    for (const worker of workers) worker.kill('SIGTERM');
    await federation.local('--stop');
    const stopped = await federation.manage(['doctor']);
    expect(stopped).toMatchObject({ exitCode: 1, stdout: expect.stringMatching(/^FAIL {2}hub: no hub answers/m) });

    const store = new DatabaseSync(join(federation.home, 'hub.sqlite'));
    const { changes } = store
      .prepare(
        `UPDATE audit SET by = 'somebody else' WHERE seq = (SELECT seq FROM audit WHERE action = 'job.start' LIMIT 1)`,
      )
      .run();
    store.close();
    expect(changes).toBe(1);
    expect(await federation.local('--workers', '2', '--no-openclaw', '--detach')).toMatchObject({ exitCode: 0 });

    const verified = await federation.manage(['audit', 'verify']);
    expect(verified).toMatchObject({
      exitCode: 1,
      stdout: expect.stringMatching(/^the audit is broken: record \d+ was changed\n$/),
      stderr: '',
    });
    const json = await federation.manage(['--json', 'audit', 'verify']);
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ whole: false, fault: { problem: 'was changed' } });
    const doctor = await federation.manage(['--json', 'doctor']);
    expect(doctor.exitCode).toBe(1);
    expect(JSON.parse(doctor.stdout)).toContainEqual(expect.objectContaining({ check: 'audit', state: 'fail' }));
  });
});

import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import type { TokenView } from '#src/protocol/hub-api/token.ts';
import type { Federation } from './federation.ts';
import { startFederation } from './federation.ts';
import type { Running } from './place.ts';
import { until } from './until.ts';

describe('one list, one approval', () => {
  let federation: Federation;
  const running = new Set<Running>();
  beforeAll(async () => {
    federation = await startFederation({ workers: 1 });
  });
  afterAll(async () => {
    for (const one of running) one.kill('SIGTERM');
    await Promise.all([...running].map(({ ended }) => ended));
    await federation.stop();
  });

  async function startWorker(name: string): Promise<Running> {
    const home = federation.place.file(name);
    await mkdir(home, { recursive: true, mode: 0o700 });
    const { address, port } = JSON.parse(await readFile(join(federation.home, 'hub.json'), 'utf8')) as {
      address: string;
      port: number;
    };
    const flags = ['--home', home, '--name', name, '--hub', `${address}:${port}`];
    const worker = federation.place.start('federation-worker', flags);
    running.add(worker);
    return worker;
  }

  async function stop(worker: Running): Promise<void> {
    worker.kill('SIGTERM');
    await worker.ended;
    running.delete(worker);
  }

  const untilLink = (name: string, link: WorkerRecord['link']) =>
    until(`the link of ${name} is ${link}`, async () => {
      const text = await readFile(join(federation.place.file(name), 'worker.json'), 'utf8').catch(() => '{}');
      const record = JSON.parse(text) as WorkerRecord;
      return record.link === link ? record : null;
    });

  /** A node that asked and went away. */
  async function asksAndLeaves(name: string): Promise<WorkerRecord> {
    const worker = await startWorker(name);
    const record = await untilLink(name, 'waiting');
    await stop(worker);
    return record;
  }

  it('lists what waits with a short id that approve takes, and says what it wants', async () => {
    const { id, fingerprint } = await asksAndLeaves('listed');
    const { exitCode, stdout, stderr } = await federation.manage(['pending']);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 0,
      stderr: 'compare the fingerprint with what the node shows, then: manage-federation approve ID or NAME\n',
    });
    const [head, row, ...notes] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^ID {6}NAME {4}WANTS {14}ASKED {5,}STATE$/);
    expect(row).toMatch(new RegExp(String.raw`^${id.slice(0, 6)} {2}listed {2}to join as worker {2}.+ {2}waits$`));
    expect(notes).toEqual([
      `    fingerprint ${fingerprint}, from 127.0.0.1, no machine of the tailnet, linux`,
      '    offers exec',
      '    risk: can run any command; may offer models, and read what they are asked',
    ]);
    expect(await federation.manage(['reject', id.slice(0, 6)])).toMatchObject({
      exitCode: 0,
      stderr: `rejected listed (${fingerprint})\n`,
    });
    expect(await federation.manage(['pending'])).toMatchObject({ stdout: expect.stringMatching(/ rejected$/m) });
  });

  it('approves one that is away, and sees it become usable when it comes', async () => {
    const { fingerprint } = await asksAndLeaves('late');
    const approving = federation.startManage(['approve', 'late']);
    await until('it waits', () => approving.said().includes('late waits for'));
    expect(await federation.stateOf('late')).toBe('offline');
    await startWorker('late');
    const ended = await approving.ended;
    expect(ended).toMatchObject({ exitCode: 0, stdout: '' });
    expect(ended.stderr.split('\n').filter((line) => !line.startsWith('  '))).toEqual([
      `approved late (${fingerprint}) as worker`,
      'waits up to 2:00 for late; Ctrl-C leaves what is approved',
      'late waits for its worker daemon to connect',
      'late is usable',
      '',
    ]);
    expect(await federation.manage(['exec', 'late', '--', 'echo', 'here'])).toMatchObject({ stdout: 'here\n' });
  });

  it('says of a member that is approved again that it is one, and of a typing mistake what was meant', async () => {
    expect(await federation.manage(['approve', 'late'])).toMatchObject({
      exitCode: 0,
      stderr: 'late is a member already\nlate is usable\n',
    });
    await asksAndLeaves('kitchen');
    expect(await federation.manage(['approve', 'kichen'])).toMatchObject({
      exitCode: 3,
      stderr: 'error: nothing that waits for approval fits "kichen"\n  try: did you mean kitchen?\n',
    });
    expect(JSON.parse((await federation.manage(['--json', 'reject', 'kichen'])).stdout)).toMatchObject({
      code: 'REQUEST_NOT_FOUND',
      hint: 'did you mean kitchen?',
    });
  });

  it('does not wait where that is not wanted', async () => {
    const ended = await federation.manage(['--json', 'approve', 'kitchen', '--no-wait']);
    expect(ended).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toMatchObject([
      { word: 'kitchen', approved: { kind: 'join', name: 'kitchen' }, usable: null, readiness: null, error: null },
    ]);
    expect(await federation.stateOf('kitchen')).toBe('offline');
  });

  it('says after its time which step waits for what, and what to run', async () => {
    await asksAndLeaves('silent');
    const ended = await federation.manage(['approve', 'silent', '--timeout', '1s']);
    expect(ended).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ended.stderr.split('\n').slice(-3)).toEqual([
      'error: silent is let in, but not usable yet: it waits for its worker daemon to connect (step linked)',
      '  try: on silent: is its worker daemon running? systemctl status openclaw-worker, or federation-worker',
      '',
    ]);
    expect(await federation.stateOf('silent')).toBe('offline');
    const again = await federation.manage(['--json', 'approve', 'silent', '--timeout', '1s']);
    expect(again).toMatchObject({ exitCode: 1, stderr: '' });
    expect(JSON.parse(again.stdout)).toMatchObject([
      { approved: null, usable: false, readiness: { usable: false }, error: { code: 'NOT_USABLE' } },
    ]);
  });

  it('ends by Ctrl-C, and says what is approved and what was not waited for', async () => {
    await asksAndLeaves('forsaken');
    const approving = federation.startManage(['approve', 'forsaken', 'late']);
    await until('it waits', () => approving.said().includes('forsaken waits for'));
    await until('the other is usable', () => approving.said().includes('late is usable'));
    approving.kill('SIGINT');
    const { exitCode, stderr } = await approving.ended;
    expect(exitCode).toBe(130);
    expect(stderr.split('\n').at(-2)).toBe('let in, and not waited for any longer: forsaken');
    expect(await federation.stateOf('forsaken')).toBe('offline');
  });

  it('approves and waits for all of several, whatever becomes of one', async () => {
    await asksAndLeaves('one');
    const other = await startWorker('other');
    await untilLink('other', 'waiting');
    const ended = await federation.manage(['approve', 'nobody', 'one', 'other', '--timeout', '3s']);
    expect(ended.exitCode).toBe(3);
    expect(ended.stderr).toMatch(/^other is usable$/m);
    expect(ended.stderr).toMatch(/^error: nothing that waits for approval fits "nobody"\n {2}try: /m);
    expect(ended.stderr).toMatch(/^error: one is let in, but not usable yet/m);
    expect(await federation.stateOf('other')).toBe('online');
    await stop(other);
  });

  it('goes on waiting where the hub is started anew meanwhile', async () => {
    await asksAndLeaves('patient');
    const approving = federation.startManage(['approve', 'patient']);
    await until('it waits', () => approving.said().includes('patient waits for'));
    const before = await federation.pidOf('hub');
    process.kill(before, 'SIGKILL');
    await until('another hub', async () => ((await federation.findPid('hub')) ?? before) !== before);
    await startWorker('patient');
    expect(await approving.ended).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^patient is usable$/m) });
  });

  it('stops waiting for one that is revoked meanwhile', async () => {
    await asksAndLeaves('unwanted');
    const approving = federation.startManage(['approve', 'unwanted']);
    await until('it waits', () => approving.said().includes('unwanted waits for'));
    expect(await federation.manage(['revoke', 'unwanted'])).toMatchObject({ exitCode: 0 });
    const { exitCode, stderr } = await approving.ended;
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/^error: unwanted was revoked$/m);
  });

  it.each(['sh', 'bash'])(
    'brings a machine in by the command that it shows with a token, pasted into %s',
    async (shell) => {
      const name = `pasted-${shell}`;
      const { exitCode, stdout, stderr } = await federation.manage(['token', 'create', '--name', name]);
      expect(exitCode).toBe(0);
      expect(stderr).not.toContain(stdout.trim());
      const command = (stderr.split(':\n\n')[1] ?? '').replace(/^TOKEN$/m, stdout.trim());
      const file = federation.place.file(`paste-${shell}`);
      const pasted = federation.place.startShell(`cat > ${file} && exec ${shell} ${file}`, { stdin: 'pipe' });
      running.add(pasted);
      pasted.stdin?.end(command);
      await federation.untilState(name, 'online');
      // The daemon's shell passes no signal on: its process is found by its home.
      const home = federation.place.file(name);
      const { pid } = JSON.parse(await readFile(join(home, 'worker.json'), 'utf8')) as WorkerRecord;
      process.kill(pid, 'SIGTERM');
      await pasted.ended;
      running.delete(pasted);
    },
  );

  it('lists the tokens that are good for something, and ends one', async () => {
    await federation.manage(['token', 'create', '--name', 'guest', '--labels', 'place=attic', '--uses', '3']);
    await federation.manage(['token', 'create', '--by-rules', 'ci']);
    const listed = await federation.manage(['token', 'list']);
    expect(listed.stdout).toMatch(/^[0-9a-f]{12} {2}guest +worker +3 +in 15 min +\S+ +place=attic$/m);
    expect(listed.stdout).toMatch(/^[0-9a-f]{12} {2}any node, by the rules for ci +worker +1 /m);
    expect(await federation.manage(['token', 'revoke', 'guest'])).toMatchObject({
      exitCode: 0,
      stderr: expect.stringMatching(/^revoked the token [0-9a-f]{12} for guest; who joined by it stays\n$/),
    });
    expect((await federation.ask<TokenView[]>('token', 'list')).map(({ name }) => name)).toEqual([null]);
    expect(await federation.manage(['token', 'revoke', 'guest'])).toMatchObject({
      exitCode: 3,
      stderr: 'error: no join token fits "guest"\n  try: manage-federation token list\n',
    });
  });

  it('shows no QR code where nothing could show it, and makes no token then', async () => {
    const before = await federation.ask<TokenView[]>('token', 'list');
    expect(await federation.manage(['token', 'create', '--qr'])).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringMatching(/^error: --qr: .+\n {2}try: .+\n$/),
    });
    expect(await federation.ask<TokenView[]>('token', 'list')).toEqual(before);
  });
});

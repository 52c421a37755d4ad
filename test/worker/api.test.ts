import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Asker, ExecSettings } from '#src/core/policy.ts';
import { FRAME, encodeFrame, encodeJsonFrame } from '#src/protocol/frames.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import { FULL, type WorkerSetup, type WorkerUnderTest, ask, exec, startWorker } from './worker-under-test.ts';

const ID = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
const EPOCH = { [EPOCH_HEADER]: '5' };

describe('a request', () => {
  let worker: WorkerUnderTest;
  beforeEach(async () => {
    worker = await startWorker();
  });
  afterEach(async () => {
    await worker.close();
  });

  it.each([[{}], [{ [EPOCH_HEADER]: 'x' }], [{ [EPOCH_HEADER]: '0' }], [{ [EPOCH_HEADER]: '5, 6' }]])(
    'without a valid epoch is refused: %j',
    async (headers) => {
      expect(await ask(worker.session, 'GET', `/invocations/${ID}`, headers)).toMatchObject({
        status: 400,
        body: { code: 'USAGE' },
      });
    },
  );

  it('of a hub that was replaced is refused', async () => {
    const answer = await ask(worker.session, 'POST', '/revoke', { [EPOCH_HEADER]: '4' });
    expect(answer).toMatchObject({ status: 409, body: { code: 'EPOCH_STALE' } });
  });

  it('of a newer hub is answered', async () => {
    const answer = await ask(worker.session, 'GET', `/invocations/${ID}`, { [EPOCH_HEADER]: '6' });
    expect(answer).toEqual({ status: 200, body: { state: 'never-started' } });
  });

  it.each([
    ['GET', '/'],
    ['GET', '/exec'],
    ['GET', '/invocations/../exec'],
    ['POST', `/invocations/${ID}`],
    ['DELETE', `/invocations/${ID}`],
  ])('for nothing that there is gets 404: %s %s', async (method, path) => {
    expect(await ask(worker.session, method, path)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  });

  it('tells the end of an invocation', async () => {
    const run = exec(worker.session, { argv: ['false'] });
    await run.exit;
    expect(await ask(worker.session, 'GET', `/invocations/${run.id}`)).toMatchObject({
      status: 200,
      body: { state: 'ended', exit: { exitCode: 1 } },
    });
  });

  it.each([
    ['an invocation without a command', encodeJsonFrame(FRAME.open, 0, { id: ID })],
    ['another frame than open', encodeFrame(FRAME.stdin, 0, Buffer.from('x'))],
    ['what is no JSON', encodeFrame(FRAME.open, 0, Buffer.from('{'))],
    ['what is no frame', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['nothing', Buffer.alloc(0)],
  ])('to run %s is refused and leaves the worker well', async (_, bytes) => {
    const stream = worker.session.request({ ':method': 'POST', ':path': '/exec', ...EPOCH }, { endStream: false });
    stream.end(bytes);
    stream.resume();
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(400);
    const next = exec(worker.session, { argv: ['true'] });
    expect(await next.exit).toMatchObject({ kind: 'ended' });
    expect(worker.executor.running).toBe(0);
  });

  it('that turns into nonsense after it began counts as lost', async () => {
    const run = exec(worker.session, { argv: ['sleep', '60'] });
    await run.started;
    run.stream.write(encodeJsonFrame(FRAME.open, 0, {}));
    await run.closed;
    await expect(run.exit).rejects.toThrow('closed before `exit`');
    await expect
      .poll(() => worker.executor.state(run.id), { timeout: 5000 })
      .toMatchObject({ exit: { ended: 'hub-lost' } });
  });
});

describe('the worker’s own policy', () => {
  const operator: Asker = { kind: 'operator', name: 'ann' };
  const owner: Asker = { kind: 'chat', channel: 'telegram', sender: 'ann', owner: true };
  const stranger: Asker = { kind: 'chat', channel: 'telegram', sender: 'bob', owner: false };
  const node: Asker = { kind: 'node', id: 'a'.repeat(64) };
  const list: ExecSettings = {
    mode: 'allowlist',
    allow: [
      ['echo', '**'],
      ['/bin/sh', '-c', 'echo hi'],
    ],
    deny: [['echo', 'secret']],
  };

  const cases: [
    string,
    WorkerSetup,
    Asker,
    { argv?: string[]; shell?: string; env?: Record<string, string> },
    boolean,
  ][] = [
    ['lets the operator run', { exec: FULL }, operator, { argv: ['echo'] }, true],
    ['runs nothing when exec is off', { exec: { ...FULL, mode: 'off' } }, operator, { argv: ['echo'] }, false],
    [
      'runs nothing with an empty allow-list',
      { exec: { mode: 'allowlist', allow: [], deny: [] } },
      operator,
      { argv: ['echo'] },
      false,
    ],
    ['runs what is on the allow-list', { exec: list }, operator, { argv: ['echo', 'a', 'b'] }, true],
    ['runs nothing else', { exec: list }, operator, { argv: ['ls'] }, false],
    ['lets deny win', { exec: list }, operator, { argv: ['echo', 'secret'] }, false],
    ['sees through the shell', { exec: list }, operator, { shell: 'echo ho' }, false],
    ['runs a shell string that is listed', { exec: list }, operator, { shell: 'echo hi' }, true],
    [
      'takes no environment with an allow-list',
      { exec: list },
      operator,
      { argv: ['echo'], env: { LD_PRELOAD: 'x' } },
      false,
    ],
    ['lets the owner’s chat run on a worker', { role: 'worker' }, owner, { argv: ['echo'] }, true],
    ['wants an approval for the owner’s chat on a hybrid', { role: 'hybrid' }, owner, { argv: ['echo'] }, false],
    ['denies any other chat', { role: 'worker' }, stranger, { argv: ['echo'] }, false],
    ['denies another node', { role: 'worker' }, node, { argv: ['echo'] }, false],
  ];

  it.each(cases)('%s', async (_, setup, asker, command, runs) => {
    const worker = await startWorker(setup);
    try {
      const run = exec(worker.session, command, { asker });
      const exit = await run.exit;
      expect(exit).toMatchObject(runs ? { kind: 'ended' } : { kind: 'refused', outcome: 'denied' });
      expect(worker.executor.state(run.id).state).toBe(runs ? 'ended' : 'never-started');
    } finally {
      await worker.close();
    }
  });
});

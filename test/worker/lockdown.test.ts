import { afterEach, beforeEach, expect, test } from 'vitest';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';
import type { WorkerUnderTest } from './worker-under-test.ts';
import { ask, exec, startWorker, until } from './worker-under-test.ts';

let worker: WorkerUnderTest;
beforeEach(async () => {
  worker = await startWorker();
});
afterEach(() => worker.close());

const DENIED = { kind: 'refused', outcome: 'denied', reason: 'the federation is locked down' };
const runs = async (epoch?: string) =>
  (await exec(worker.session, { argv: ['true'] }, epoch === undefined ? {} : { epoch }).exit).kind;

test('a lockdown is confirmed when nothing runs any more', async () => {
  const running = exec(worker.session, { shell: 'sleep 60' });
  await running.started;
  expect((await ask(worker.session, 'POST', '/lockdown')).status).toBe(200);
  expect(worker.executor.running).toBe(0);
  expect(await running.exit).toMatchObject({ kind: 'ended', exit: { ended: 'cancelled', survivors: 0 } });
});

test('what was let wait for its start never starts', async () => {
  const held = exec(worker.session, { shell: 'echo ran' }, { held: true });
  await until(() => worker.executor.running === 1);
  await ask(worker.session, 'POST', '/lockdown');
  held.send('go');
  expect(await held.exit).toMatchObject({ kind: 'ended', exit: { ended: 'cancelled', exitCode: null } });
  expect(held.stdout()).toBe('');
});

test('every command is denied until it is lifted, on whatever connection', async () => {
  await ask(worker.session, 'POST', '/lockdown');
  expect(await exec(worker.session, { argv: ['true'] }).exit).toEqual(DENIED);
  expect(await exec(await worker.connect(), { argv: ['true'] }).exit).toEqual(DENIED);
  expect((await ask(worker.session, 'DELETE', '/lockdown')).status).toBe(200);
  expect(await runs()).toBe('ended');
});

test('what ended before is still told under a lockdown', async () => {
  const { id, exit } = exec(worker.session, { argv: ['true'] });
  await exit;
  await ask(worker.session, 'POST', '/lockdown');
  expect(await exec(worker.session, { argv: ['true'] }, { id }).exit).toMatchObject({ kind: 'ended', replayed: true });
});

test('a hub that was replaced neither locks down nor lifts, and its successor decides anew', async () => {
  const stale = { [EPOCH_HEADER]: '4' };
  expect((await ask(worker.session, 'POST', '/lockdown', stale)).status).toBe(409);
  expect(await runs()).toBe('ended');
  await ask(worker.session, 'POST', '/lockdown');
  expect((await ask(worker.session, 'DELETE', '/lockdown', stale)).status).toBe(409);
  expect(await runs()).toBe('refused');
  expect(await runs('6')).toBe('ended');
});

import { rm } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openHome } from '#src/adapters/home.ts';
import { thisMachine } from '#src/adapters/machine/local.ts';
import { KEY_ROTATION_FILE, KEY_ROTATION_REQUEST_FILE } from '#src/core/key-rotation.ts';
import { fingerprint } from '#src/core/node.ts';
import type { KeyRotationWish } from '#src/deploy/rotate-key.ts';
import { rotateKey } from '#src/deploy/rotate-key.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

let federation: Federation;
let stopping: AbortController;
let lines: string[];

beforeEach(async () => {
  federation = await startFederation({ workers: 1 });
  stopping = new AbortController();
  lines = [];
});

afterEach(() => federation[Symbol.asyncDispose]());

const { username: name, uid, homedir } = userInfo();
const person = { name, uid, group: name, home: homedir };

function rotate(wish: Partial<KeyRotationWish> = {}) {
  const whole = {
    person,
    home: federation.home('w1'),
    endRunning: false,
    progress: (line: string) => void lines.push(line),
  };
  return rotateKey(thisMachine(), { ...whole, ...wish }, stopping.signal);
}

const request = () => openHome(federation.home('w1')).then((home) => home.read(KEY_ROTATION_REQUEST_FILE));

/** The daemon is gone, and another program stands where its record points to. */
async function stopDaemon(): Promise<void> {
  const home = await openHome(federation.home('w1'));
  const record = await home.read('worker.json');
  await federation.stop('w1');
  await home.write('worker.json', record ?? '');
}

test('the worker of a home gets a new key, and both are shown', async () => {
  const before = await federation.show('w1');
  const rotated = await rotate();
  const after = await federation.show('w1');
  expect(rotated).toEqual({ name: 'w1', before: before.fingerprint, after: after.fingerprint });
  expect(after).toMatchObject({ state: 'online', fingerprint: fingerprint(after.id) });
  expect(rotated.after).not.toBe(rotated.before);
  expect(await request()).toBeNull();
});

test('two that ask at once are both told the truth', async () => {
  const outcomes = await Promise.allSettled([rotate(), rotate()]);
  const { fingerprint: now } = await eventually('it is back', async () => {
    const node = await federation.show('w1');
    return node.state === 'online' ? node : null;
  });
  const told = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.after] : []));
  const failed = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  expect(told).toContain(now);
  for (const error of failed) expect(error).toMatchObject({ code: 'ALREADY_RUNNING' });
  expect(await request()).toBeNull();
});

test('what runs there is named, and nothing is changed', async () => {
  const job = await federation.startJob({ kind: 'exec', targets: ['w1'], command: { shell: 'echo here; sleep 600' } });
  await eventually('it runs', () => job.outputs[0]?.stdout === 'here\n');
  const { id } = await federation.show('w1');
  await expect(rotate()).rejects.toMatchObject({
    code: 'CONFIRMATION_NEEDED',
    message: 'a command runs here, and would be ended',
  });
  expect((await federation.show('w1')).id).toBe(id);
  await rotate({ endRunning: true });
  await job.over;
  expect(job.results[0]?.outcome).toBe('cancelled');
});

test('where no worker is, or none runs, it is said', async () => {
  await expect(rotate({ home: '/nowhere/at/all' })).rejects.toMatchObject({
    code: 'NOT_RUNNING',
    message: 'there is no worker here: nothing is in /nowhere/at/all',
  });
  await stopDaemon();
  const home = await openHome(federation.home('w1'));
  const record = JSON.parse((await home.read('worker.json')) ?? '') as object;
  await home.write('worker.json', JSON.stringify({ ...record, pid: 2 ** 22 + 1 }));
  await expect(rotate()).rejects.toMatchObject({ code: 'NOT_RUNNING' });
  await rm(home.file('worker.json'));
  await expect(rotate()).rejects.toMatchObject({ code: 'NOT_RUNNING', hint: 'deploy-federation doctor' });
});

test('a home of somebody else is not touched', async () => {
  await expect(rotate({ person: { ...person, uid: uid + 1, name: 'sam' } })).rejects.toMatchObject({
    message: expect.stringMatching(/belongs to another user than sam|can’t/) as string,
  });
  expect(await request()).toBeNull();
});

test.each<[string, object, object]>([
  [
    'waits for approval',
    { link: 'waiting' },
    { code: 'HELD', hint: expect.stringContaining('manage-federation approve') },
  ],
  [
    'is refused',
    { link: 'refused', problem: { code: 'REVOKED', message: 'this node was revoked', hint: 'ask' } },
    { code: 'REVOKED', hint: 'ask' },
  ],
  [
    'has no link',
    { link: 'connecting', problem: { code: 'LINK_LOST', message: 'the link was lost' } },
    { code: 'HUB_UNREACHABLE', message: expect.stringMatching(/^no link to 127\.0\.0\.1:\d+: the link was lost$/) },
  ],
])('a worker that %s asks nothing', async (_, standing, error) => {
  await stopDaemon();
  const home = await openHome(federation.home('w1'));
  const record = JSON.parse((await home.read('worker.json')) ?? '') as object;
  await home.write('worker.json', JSON.stringify({ ...record, ...standing }));
  await expect(rotate()).rejects.toMatchObject(error);
  expect(await request()).toBeNull();
});

test('who stops waiting leaves no request behind that was not taken', async () => {
  await stopDaemon();
  const rotating = rotate();
  await eventually('it asks', request);
  stopping.abort(new Error('enough'));
  await expect(rotating).rejects.toThrow('enough');
  expect(await request()).toBeNull();
});

test('words of the machine that are none of ours are not taken for an answer', async () => {
  await stopDaemon();
  const home = await openHome(federation.home('w1'));
  const rotating = rotate();
  const asked = JSON.parse(await eventually('it asks', request)) as { id: string };
  const requests = [asked.id];
  const [from, to] = ['a'.repeat(64), '\u001b[2J'];
  for (const text of ['{', '[]', JSON.stringify({ requests, state: 'done', from, to, problem: null })]) {
    await home.write(KEY_ROTATION_FILE, text);
  }
  await home.write(
    KEY_ROTATION_FILE,
    JSON.stringify({ requests, state: 'refused', from, to: null, problem: { code: 'ODD', message: 'no' } }),
  );
  await expect(rotating).rejects.toMatchObject({ code: 'INTERNAL', message: 'no' });
});

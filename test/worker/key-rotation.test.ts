import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { openHome } from '#src/adapters/home.ts';
import type { KeyRotationRecord } from '#src/core/key-rotation.ts';
import { KEY_ROTATION_FILE, KEY_ROTATION_REQUEST_FILE } from '#src/core/key-rotation.ts';
import { fingerprint } from '#src/core/node.ts';
import type { WorkerRecord } from '#src/core/worker-record.ts';
import { keyPair } from '#src/link/key.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { JobView } from '#src/protocol/hub-api/job.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

let federation: Federation;

beforeEach(async () => void (federation = await startFederation({ workers: 1 })));
afterEach(() => federation[Symbol.asyncDispose]());

async function readJson<T>(name: string): Promise<T | null> {
  const text = await readFile(`${federation.home('w1')}/${name}`, 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as T);
}

async function wish(endRunning = false): Promise<string> {
  const id = randomUUID();
  const home = await openHome(federation.home('w1'));
  await home.write(KEY_ROTATION_REQUEST_FILE, JSON.stringify({ id, endRunning }));
  return id;
}

/** What becomes of a request: its record, when it is over. */
function answer(id: string): Promise<KeyRotationRecord> {
  return eventually(`an end of ${id}`, async () => {
    const record = await readJson<KeyRotationRecord>(KEY_ROTATION_FILE);
    return record?.requests.includes(id) === true && record.state !== 'running' ? record : null;
  });
}

async function keyInHome(): Promise<string> {
  return keyPair(await readFile(`${federation.home('w1')}/node.key`, 'utf8')).id;
}

/** The hub, the worker and its home agree on one key, and there is one w1. */
async function untilWhole(): Promise<string> {
  return eventually('one key everywhere', async () => {
    const nodes = (await federation.nodes()).filter(({ name }) => name === 'w1');
    expect(nodes).toHaveLength(1);
    const [{ id, state }] = nodes as [(typeof nodes)[0]];
    const isWhole = state === 'online' && id === (await keyInHome()) && id === federation.worker('w1').id;
    return isWhole && !existsSync(`${federation.home('w1')}/node.key.next`) ? id : null;
  });
}

/** The answer is there a moment before the daemon takes the wish away. */
async function untilNothingAsked(): Promise<void> {
  const wished = `${federation.home('w1')}/${KEY_ROTATION_REQUEST_FILE}`;
  await eventually('nothing is asked any more', () => !existsSync(wished));
}

test('a node gets a new key on purpose and stays who it is', async () => {
  const before = await federation.show('w1');
  const { state, from, to } = await answer(await wish());
  expect({ state, from }).toEqual({ state: 'done', from: before.id });
  expect(to).toBe(await untilWhole());
  expect(to).not.toBe(before.id);
  await untilNothingAsked();

  const after = await federation.show('w1');
  expect({ ...after, id: before.id, fingerprint: before.fingerprint, lastSeenAt: before.lastSeenAt }).toMatchObject({
    name: before.name,
    role: before.role,
    labels: before.labels,
    approvedAt: before.approvedAt,
    state: 'online',
  });
  expect(await readJson<WorkerRecord>('worker.json')).toMatchObject({ id: to, fingerprint: fingerprint(to!) });
  expect(await federation.pending()).toEqual([]);
  const { results } = await federation.run(['w1'], 'echo here');
  expect(results[0]).toMatchObject({ id: to, node: 'w1', outcome: 'ok' });
  const audit = await federation.get<AuditView[]>('/audit');
  expect(audit.filter(({ action }) => action === 'node.rotate-key')).toHaveLength(1);
});

test('the key that was replaced opens nothing any more', async () => {
  const old = await readFile(`${federation.home('w1')}/node.key`, 'utf8');
  await answer(await wish());
  await untilWhole();
  await federation.stop('w1');
  await (await openHome(federation.home('w1'))).write('node.key', old);
  await federation.start('w1', { token: null });
  const record = await eventually('a refusal', async () => {
    const found = await readJson<WorkerRecord>('worker.json');
    return found?.link === 'refused' ? found : null;
  });
  expect(record.problem).toMatchObject({ code: 'KEY_ROTATED' });
});

test('two that ask at once get an answer each, and the node one key', async () => {
  const ids = [await wish(), await wish()];
  // The second has taken the place of the first, or shares its rotation.
  await answer(ids[1]!);
  await untilWhole();
  await untilNothingAsked();
  expect(await answer(await wish())).toMatchObject({ state: 'done' });
  await untilWhole();
});

test('what runs is not ended without a word for it', async () => {
  const job = await federation.startJob({
    kind: 'exec',
    targets: ['w1'],
    command: { shell: 'echo here; exec sleep 600' },
  });
  await eventually('it runs', () => job.outputs[0]?.stdout === 'here\n');
  const before = await untilWhole();
  const refused = await answer(await wish());
  expect(refused).toMatchObject({ state: 'refused', to: null, problem: { code: 'CONFIRMATION_NEEDED' } });
  expect(await untilWhole()).toBe(before);
  await untilNothingAsked();

  expect(await answer(await wish(true))).toMatchObject({ state: 'done' });
  await job.over;
  expect(job.results[0]).toMatchObject({ outcome: 'cancelled' });
  expect(await untilWhole()).not.toBe(before);
});

test('what nobody saw the end of under the old key is found out under the new one', async () => {
  const job = await federation.startJob({
    kind: 'exec',
    targets: ['w1'],
    command: { shell: 'echo here; exec sleep 600' },
  });
  await eventually('it runs', () => job.outputs[0]?.stdout === 'here\n');
  federation.cable('w1').cut();
  await job.over;
  expect(job.results[0]).toMatchObject({ outcome: 'unknown' });
  federation.cable('w1').mend();
  await federation.untilOnline('w1');
  const { id } = await federation.show('w1');
  expect(await answer(await wish(true))).toMatchObject({ state: 'done', from: id });
  await eventually('it is known', async () => {
    const { results } = await federation.get<JobView>(`/jobs/${job.opened!.job}`);
    return results[0]?.outcome === 'cancelled';
  });
});

test('a node without its hub keeps its key', async () => {
  const before = await untilWhole();
  federation.cable('w1').cut();
  await eventually('it is lost', async () => (await readJson<WorkerRecord>('worker.json'))?.link === 'connecting');
  expect(await answer(await wish())).toMatchObject({ state: 'refused', problem: { code: 'HUB_UNREACHABLE' } });
  federation.cable('w1').mend();
  expect(await untilWhole()).toBe(before);
});

test('a node that is revoked meanwhile comes back by neither key', async () => {
  await Promise.all([wish(), federation.post('/nodes/w1/revoke')]);
  await eventually('it is out', async () => (await readJson<WorkerRecord>('worker.json'))?.link === 'refused');
  expect((await federation.nodes()).filter(({ name }) => name === 'w1')).toMatchObject([{ state: 'revoked' }]);
});

test('words that are no request change nothing', async () => {
  const before = await untilWhole();
  const home = await openHome(federation.home('w1'));
  for (const text of ['', '{', '[]', '{"id":"../../x","endRunning":true}', `{"id":"${'x'.repeat(100_000)}"}`]) {
    await home.write(KEY_ROTATION_REQUEST_FILE, text);
    await eventually('it is taken away', () => !existsSync(home.file(KEY_ROTATION_REQUEST_FILE)));
  }
  expect(await answer(await wish())).toMatchObject({ from: before, state: 'done' });
});

describe('a worker daemon that is killed', () => {
  const FIXTURE = fileURLToPath(new URL('../fixtures/rotating-worker.ts', import.meta.url));

  /** The changes: next key, record, the key itself, record, request. */
  test.each([
    ['before', 1],
    ['after', 1],
    ['before', 2],
    ['after', 2],
    ['before', 3],
    ['after', 3],
    ['before', 4],
    ['after', 4],
    ['before', 5],
    ['after', 5],
  ])('%s change %i of its files goes on where it was', async (when, nth) => {
    const before = await untilWhole();
    const hub = `127.0.0.1:${federation.cable('w1').port}`;
    await federation.stop('w1');
    const env = { OPENCLAW_FEDERATION_NAME: 'w1', OPENCLAW_FEDERATION_WORKER_HUB: hub };
    const args = ['--conditions=federation-source', FIXTURE, federation.home('w1'), when, String(nth)];
    const daemon = execa(process.execPath, args, { env, reject: false, stdin: 'pipe' });
    onTestFinished(() => void daemon.kill('SIGKILL'));
    await federation.untilOnline('w1');
    const id = await wish();
    expect((await daemon).signal).toBe('SIGKILL');

    await federation.start('w1', { token: null });
    expect(await answer(id)).toMatchObject({ state: 'done', from: before });
    const after = await untilWhole();
    expect(after).not.toBe(before);
    await eventually('nothing is asked any more', () => {
      return !existsSync(`${federation.home('w1')}/${KEY_ROTATION_REQUEST_FILE}`);
    });
    expect(await untilWhole()).toBe(after);
  });
});

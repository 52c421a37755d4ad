import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import type { Change } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import { createFleet } from '#src/hub/fleet/fleet.ts';
import type { LockdownKeeper } from '#src/hub/jobs/lockdown.ts';
import { openLockdown } from '#src/hub/jobs/lockdown.ts';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { Judgement } from '#src/protocol/hub-api/judgement.ts';
import type { LockedDown, LockdownStatus } from '#src/protocol/hub-api/lockdown.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { SILENT_LOG } from '../support/member.ts';

const lock = (federation: Federation, reason?: string) =>
  federation.post<LockedDown>('/lockdown', reason === undefined ? {} : { reason });
const lift = (federation: Federation) => federation.post<LockdownStatus>('/lockdown/lift');
const status = async (federation: Federation) => (await federation.get<Status>('/status')).lockdown;

test('a lockdown ends all that runs, also what ignores TERM, and says why', async () => {
  await using federation = await startFederation({ workers: 2, worker: { worker: { killAfterSeconds: 1 } } });
  const jobs = await Promise.all(
    ['w1', 'w2'].map((node) =>
      federation.startJob({
        kind: 'exec',
        targets: [node],
        command: { shell: 'trap "" TERM; echo up; sleep 60 & wait; sleep 60' },
      }),
    ),
  );
  await eventually('both run', () => jobs.every(({ outputs }) => outputs[0]?.stdout === 'up\n'));

  const begun = await lock(federation, 'a drill');
  expect(begun).toMatchObject({ ended: 2, running: 0, unconfirmed: [], lockdown: { reason: 'a drill' } });
  await Promise.all(jobs.map(({ over }) => over));
  expect(jobs.map(({ results }) => results[0])).toMatchObject(
    jobs.map(() => ({ outcome: 'cancelled', reason: 'the federation was locked down' })),
  );
  const nodes = await Promise.all(['w1', 'w2'].map((name) => federation.show(name)));
  expect(nodes.map(({ running }) => running)).toEqual([0, 0]);
  const audit = await federation.get<AuditView[]>('/audit?limit=100');
  expect(audit.filter(({ action }) => action === 'job.cancel').map(({ detail }) => detail['by'])).toEqual(
    jobs.map(() => 'lockdown'),
  );
  expect(audit.find(({ action }) => action === 'lockdown.begin')?.detail).toEqual({ reason: 'a drill' });
});

test('while it lasts every command is denied with the way out, and afterwards runs', async () => {
  await using federation = await startFederation({ workers: 1 });
  const { lockdown } = await lock(federation, 'a drill');
  const denied = await federation.run(['w1'], 'true');
  expect(denied.results[0]).toMatchObject({
    outcome: 'denied',
    reason: `the federation was locked down by ${lockdown.by} (a drill); manage-federation lockdown --lift ends that`,
  });
  expect((await federation.run('all', 'true')).ended?.summary).toEqual({ denied: 1 });
  expect(await status(federation)).toEqual(lockdown);
  expect(await lift(federation)).toEqual(lockdown);
  expect((await federation.run('all', 'true')).ended?.summary).toEqual({ ok: 1 });
  expect(await lift(federation)).toBeNull();
});

test('it outlives the hub, and so does its end', async () => {
  await using federation = await startFederation({ workers: 1 });
  const { lockdown } = await lock(federation);
  await federation.restartHub();
  await federation.untilOnline('w1');
  expect(await status(federation)).toEqual(lockdown);
  expect((await federation.run(['w1'], 'true')).ended?.summary).toEqual({ denied: 1 });
  await lift(federation);
  await federation.restartHub();
  await federation.untilOnline('w1');
  expect(await status(federation)).toBeNull();
  expect((await federation.run(['w1'], 'true')).ended?.summary).toEqual({ ok: 1 });
});

test('who is locked down stays so: a second lockdown keeps the first one’s word, and ends what there is', async () => {
  await using federation = await startFederation({ workers: 1 });
  const first = await lock(federation, 'the first');
  expect((await lock(federation, 'the second')).lockdown).toEqual(first.lockdown);
});

test('a node that links while it lasts is told, one that missed its end too, and one that won’t hear is named', async () => {
  await using federation = await startFederation();
  const heard: string[] = [];
  const onStream = (code: number) => (stream: ServerHttp2Stream, headers: { ':method'?: string; ':path'?: string }) => {
    heard.push(`${headers[':method']} ${headers[':path']}`);
    stream.respond({ ':status': code });
    stream.end();
  };
  await using deaf = bareNode(federation.hub, {
    name: 'deaf',
    token: await federation.token(),
    onStream: onStream(404),
  });
  await deaf.welcome();
  await federation.untilOnline('deaf');
  expect((await lock(federation)).unconfirmed).toEqual(['deaf']);
  expect(heard).toEqual(['POST /lockdown']);

  await deaf.stop();
  heard.length = 0;
  const node = { name: 'late', token: await federation.token(), onStream: onStream(200) };
  const late = bareNode(federation.hub, node);
  await late.welcome();
  await eventually('it is told', () => heard.includes('POST /lockdown'));
  await late.stop();
  await eventually('it is away', async () => !(await federation.isOnline('late')));
  heard.length = 0;
  await lift(federation);
  await using again = bareNode(federation.hub, { ...node, key: late.key });
  await again.welcome();
  await eventually('it hears of the end', () => heard.includes('DELETE /lockdown'));
});

test('while it lasts the rules let nobody in, and a person does', async () => {
  await using federation = await startFederation();
  const rules = 'rules: [{ name: here, when: { token: pi }, then: approve }]\n';
  await writeFile(join(federation.home('master'), 'approval-policy.yaml'), rules);
  await eventually('the rules are known', async () => (await federation.get<Status>('/status')).policy.rules === 1);
  const token = await federation.token({ rules: 'pi', uses: 2 });
  await using one = bareNode(federation.hub, { name: 'one', token });
  await using two = bareNode(federation.hub, { name: 'two', token });
  await Promise.all([one.waiting(), two.waiting()]);
  await lock(federation);
  const judge = (name: string) => federation.post<Judgement>(`/pairing-requests/${name}/judge`, {});
  expect((await federation.pending()).map(({ held }) => held)).toEqual(['locked down', 'locked down']);
  expect(await judge('one')).toMatchObject({ verdict: 'hold', done: 'nothing' });
  await federation.approve('two');
  await two.welcome();
  await lift(federation);
  expect(await judge('one')).toMatchObject({ verdict: 'approve', done: 'approved' });
});

/** A keeper whose store does what a test says. */
async function keeperWith(commit: (changes: readonly Change[]) => Promise<void>): Promise<LockdownKeeper> {
  let turn: Promise<unknown> = Promise.resolve();
  return openLockdown({
    store: { lockdown: async () => null },
    membership: {
      now: () => 1,
      record: (action, by, detail) => ({ type: 'audit', entry: { at: 1, action, by, detail } }),
      commit: (_, changes) => commit(changes),
      inTurn(work) {
        const mine = turn.then(work);
        turn = mine.catch(() => undefined);
        return mine;
      },
    },
    fleet: createFleet(() => false),
    jobs: { running: 0, endAll: async () => undefined },
    carrier: () => null,
    log: SILENT_LOG,
  });
}

test('a store that can’t keep it does not keep it from holding, and one that can’t keep its end keeps it', async () => {
  const keeper = await keeperWith(() => Promise.reject(new FederationError('STORE_FAILED', 'disk full')));
  await expect(keeper.begin('a drill', 'ann')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(keeper.status()).toMatchObject({ by: 'ann', reason: 'a drill' });
  await expect(keeper.lift('ann')).rejects.toMatchObject({ code: 'STORE_FAILED' });
  expect(keeper.denial()).toContain('a drill');
});

test('the end of one does not lift the next that began meanwhile', async () => {
  const kept: unknown[] = [];
  const gate = Promise.withResolvers<void>();
  const keeper = await keeperWith(async (changes) => {
    const [change] = changes;
    if (change?.type !== 'lockdown') return;
    if (change.value === null) await gate.promise;
    kept.push(change.value);
  });
  await keeper.begin(null, 'ann');
  const lifting = keeper.lift('ann');
  const beginning = keeper.begin(null, 'bob');
  gate.resolve();
  await Promise.all([lifting, beginning]);
  expect(keeper.status()).not.toBeNull();
  expect(kept.at(-1)).toEqual(keeper.status());
});

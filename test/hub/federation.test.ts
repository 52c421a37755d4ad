import { readdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import type { JobCreate } from '#src/protocol/hub-api/job.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

const MANY = 50;

test('fifty workers join by tokens of their own and a broadcast reaches all', async () => {
  await using federation = await startFederation({ workers: MANY });
  const { results, outputs, opened, ended, whole } = await federation.run('all', 'echo from here');
  expect(whole).toBe(true);
  expect(ended?.summary).toEqual({ ok: MANY });
  expect(new Set(results.map(({ node }) => node)).size).toBe(MANY);
  expect(results.map(({ id }) => id)).toEqual(opened?.targets.map(({ id }) => id));
  expect(outputs.every(({ stdout }) => stdout === 'from here\n')).toBe(true);
  expect(federation.logs.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});

test('one token lets as many workers join as it says, and no more', async () => {
  await using federation = await startFederation();
  const token = await federation.token({ uses: MANY });
  const names = Array.from({ length: MANY + 3 }, (_, at) => `w${at + 1}`);
  await Promise.all(names.map((name) => federation.start(name, { token })));
  await eventually('all judged', async () => {
    const online = (await federation.nodes()).filter(({ state }) => state === 'online').length;
    const refused = federation.logs.filter((line) => line.includes('TOKEN_INVALID')).length;
    return online + refused >= names.length;
  });
  expect(await federation.nodes()).toHaveLength(MANY);
});

test('a broadcast counts every target once, whatever became of it', async () => {
  await using federation = await startFederation({ workers: 6 });
  await federation.start('off', { settings: { worker: { exec: { mode: 'off' } } } });
  await federation.start('listed', {
    settings: { worker: { exec: { mode: 'allowlist', allow: [['uptime']] } } },
  });
  await federation.start('picky', { settings: { worker: { exec: { deny: [['/bin/sh', '**']] } } } });
  await federation.untilOnline('off', 'listed', 'picky');
  await federation.stop('w6');
  await eventually('w6 offline', async () => (await federation.show('w6')).state === 'offline');

  const running = await federation.startJob(job('kill -9 $$'));
  await running.over;
  expect(running.whole).toBe(true);
  expect(running.opened?.leftOut).toEqual([expect.objectContaining({ node: 'w6', state: 'offline' })]);
  expect(running.ended?.summary).toEqual({ signaled: 5, denied: 3 });
  expect(running.results).toHaveLength(8);
  const denied = running.results.filter(({ outcome }) => outcome === 'denied');
  expect(new Map(denied.map(({ node, reason }) => [node, reason]))).toEqual(
    new Map([
      ['listed', 'not on this node’s allow-list'],
      ['off', 'exec is off on this node'],
      ['picky', 'deny rule ["/bin/sh","**"]'],
    ]),
  );
});

test('a worker that stops in the middle ends its part and says so once it is back, and the others run on', async () => {
  await using federation = await startFederation({ workers: 3 });
  const running = await federation.startJob(job('echo up; while [ ! -e "$HOLD" ]; do sleep 0.05; done', federation));
  await eventually('all three run', () => running.started.size === 3);
  await federation.stop('w2');
  await eventually('w2 has an end', () => running.results.some((result) => result?.node === 'w2'));
  await release(federation);
  await running.over;
  expect(running.whole).toBe(true);
  expect(running.ended?.summary.ok).toBe(2);
  await federation.start('w2');
  await eventually('the end is known', async () => {
    const { summary } = await federation.get<{ summary: object }>(`/jobs/${running.opened!.job}`);
    return 'cancelled' in summary;
  });
});

test('a node whose cable is cut in the middle is unknown, and its end is asked for when it is back', async () => {
  await using federation = await startFederation({ workers: 2 });
  const running = await federation.startJob(job('while [ ! -e "$HOLD" ]; do sleep 0.05; done; exit 3', federation));
  await eventually('both run', () => running.started.size === 2);
  federation.cable('w1').cut();
  await eventually('w1 has an end', () => running.results.some((result) => result?.node === 'w1'));
  await release(federation);
  await running.over;
  expect(running.ended?.summary).toEqual({ unknown: 1, failed: 1 });

  federation.cable('w1').mend();
  const resolved = await eventually('the end is known', async () => {
    const view = await federation.get<{ summary: object; results: object[] }>(`/jobs/${running.opened!.job}`);
    return 'unknown' in view.summary ? null : view;
  });
  expect(resolved.summary).toEqual({ failed: 2 });
  expect(resolved.results).toContainEqual(
    expect.objectContaining({ node: 'w1', outcome: 'failed', exitCode: 3, replayed: true, truncated: true }),
  );
});

test('an end that nobody saw is asked for again after the link changed while it ran', async () => {
  await using federation = await startFederation({ workers: 1 });
  const running = await federation.startJob(job('while [ ! -e "$HOLD" ]; do sleep 0.05; done', federation));
  await eventually('it runs', () => running.started.size === 1);
  for (let round = 0; round < 2; round += 1) {
    const { length } = federation.logs.filter((line) => line.includes('a link is up'));
    federation.cable('w1').cut();
    await eventually('offline', async () => !(await federation.isOnline('w1')));
    federation.cable('w1').mend();
    await eventually('back', () => federation.logs.filter((line) => line.includes('a link is up')).length > length);
  }
  await running.over;
  expect(running.ended?.summary).toEqual({ unknown: 1 });
  await release(federation);
  await eventually('the end is known', async () => {
    const view = await federation.get<{ summary: { ok?: number } }>(`/jobs/${running.opened!.job}`);
    return view.summary.ok === 1;
  });
});

test('the master joins as one more node, is no target of a broadcast and runs nothing by itself', async () => {
  await using federation = await startFederation({ workers: 1 });
  await federation.start('master', {
    token: await federation.token({ role: 'master', name: 'master' }),
    settings: { role: 'master', worker: { exec: { mode: 'allowlist' } } },
  });
  await federation.untilOnline('master');
  const everywhere = await federation.run('all', 'true');
  expect(everywhere.results.map(({ node }) => node)).toEqual(['w1']);
  const there = await federation.run(['master'], 'true');
  expect(there.results).toEqual([
    expect.objectContaining({ outcome: 'denied', reason: 'not on this node’s allow-list', exitCode: null }),
  ]);
});

test('a node is named by its name, its id, or a beginning of the id that is its alone', async () => {
  await using federation = await startFederation({ workers: 12 });
  const { id, fingerprint } = await federation.show('w7');
  for (const word of ['w7', id, id.slice(0, 12), fingerprint]) expect((await federation.show(word)).name).toBe('w7');
  expect((await federation.run([id, 'w7', fingerprint], 'true')).results).toHaveLength(1);
  await expect(federation.run(['w77'], 'true')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND', hint: /w7/ });
  await expect(federation.run(['w1', 'no-such'], 'true')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  await expect(federation.show(id.slice(0, 3))).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  expect(await federation.get('/jobs')).toHaveLength(1);
});

test('a second link of the same node takes the place of the first', async () => {
  await using federation = await startFederation({ workers: 1 });
  const first = federation.logs.filter((line) => line.includes('a link is up')).length;
  await federation.start('w1');
  await eventually(
    'a second link',
    () => federation.logs.filter((line) => line.includes('a link is up')).length > first,
  );
  await eventually('the first is told', () => federation.logs.some((line) => line.includes('LINK_REPLACED')));
  expect(await federation.nodes()).toHaveLength(1);
  expect((await federation.run(['w1'], 'true')).ended?.summary).toEqual({ ok: 1 });
});

test('a hub that starts again has a higher epoch, and its members come back by themselves', async () => {
  await using federation = await startFederation({ workers: 5 });
  const { epoch } = await federation.get<{ epoch: number }>('/status');
  await federation.restartHub();
  expect((await federation.get<{ epoch: number }>('/status')).epoch).toBe(epoch + 1);
  await federation.untilOnline('w1', 'w2', 'w3', 'w4', 'w5');
  expect((await federation.run('all', 'true')).ended?.summary).toEqual({ ok: 5 });
});

test('nothing of a federation is left behind', async () => {
  const before = process.getActiveResourcesInfo().toSorted();
  const federation = await startFederation({ workers: 3 });
  await federation.run('all', 'true');
  const { directory } = federation;
  const sockets = dirname(federation.hub.operator);
  await federation[Symbol.asyncDispose]();
  await expect(readdir(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(readdir(sockets)).rejects.toMatchObject({ code: 'ENOENT' });
  await eventually('the same resources as before', () => {
    const now = process.getActiveResourcesInfo();
    return now.every((kind) => before.filter((one) => one === kind).length >= now.filter((one) => one === kind).length);
  });
});

/** A broadcast of one line; it finds the path of the file that `release` makes in $HOLD. */
function job(shell: string, federation?: Federation): JobCreate {
  const env: Record<string, string> = federation === undefined ? {} : { HOLD: federation.home('hold') };
  return { kind: 'broadcast', targets: 'all', command: { shell, env } };
}

async function release(federation: Federation): Promise<void> {
  await writeFile(federation.home('hold'), '');
}

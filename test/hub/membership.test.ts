import { copyFileSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { ask } from '../support/http.ts';
import { newKey, startHub as startBareHub, startProxy } from '../support/link.ts';

test('an approval lets a node in on the line that it holds', async () => {
  await using federation = await startFederation();
  const { id } = await federation.start('w1', { token: null });
  const [request] = await eventually('it waits', async () => nonEmpty(await federation.pending()));
  expect(request).toMatchObject({ id, name: 'w1', role: 'worker', held: null, rejected: false, address: '127.0.0.1' });
  expect((await federation.get<Status>('/status')).pending).toBe(1);
  await expect(federation.run(['w1'], 'true')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  await federation.approve('w1');
  await federation.untilOnline('w1');
  expect(federation.logs.filter((line) => line.includes('waiting for approval on the master'))).toHaveLength(1);
  expect(await federation.pending()).toEqual([]);
});

test('a rejected node stays out until it is approved after all', async () => {
  await using federation = await startFederation();
  await using node = bareNode(federation.hub);
  await node.waiting();
  expect(await federation.post('/pairing-requests/w1/reject')).toMatchObject({ name: 'w1' });
  expect(await node.refusal()).toBe('FORBIDDEN');
  await eventually('it asked again and was refused', () => count(node, 'refused') >= 3);
  expect(count(node, 'waiting')).toBe(1);
  expect(await federation.pending()).toEqual([expect.objectContaining({ rejected: true })]);
  await federation.approve('w1');
  await node.welcome();
});

test('a name that is taken is held until --replace, which puts the former holder out with all that it runs', async () => {
  await using federation = await startFederation({ workers: 1 });
  const former = federation.worker('w1').id;
  const running = await federation.startJob({ kind: 'exec', targets: ['w1'], command: { argv: ['sleep', '60'] } });
  const { pid } = await eventually('it runs', () => running.started.get(0));

  await using usurper = bareNode(federation.hub, { name: 'w1' });
  await usurper.waiting();
  const [request] = await federation.pending();
  expect(request?.held).toContain('belongs to another node');
  await expect(federation.approve('w1')).rejects.toMatchObject({ code: 'NAME_TAKEN', hint: /--replace/ });
  expect(usurper.saw('welcome')).toBe(false);

  expect(await federation.approve('w1', true)).toMatchObject({ id: request!.id });
  expect(isAlive(pid)).toBe(false);
  await usurper.welcome();
  await running.over;
  expect(running.ended?.summary).toEqual({ cancelled: 1 });
  expect(await federation.show(former)).toMatchObject({ state: 'revoked', address: null });
  expect((await federation.show('w1')).id).toBe(request!.id);
  const actions = await federation.get<{ action: string; detail: { id?: string } }[]>('/audit');
  expect(actions.filter(({ action }) => action === 'node.revoke').map(({ detail }) => detail.id)).toEqual([former]);

  await expect(federation.approve(former)).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  expect((await federation.nodes()).filter(({ state }) => state !== 'revoked')).toHaveLength(1);
});

test('two nodes that ask under one name are told apart by the id alone', async () => {
  await using federation = await startFederation();
  await using one = bareNode(federation.hub, { name: 'twin' });
  await using other = bareNode(federation.hub, { name: 'twin' });
  await Promise.all([one.waiting(), other.waiting()]);
  await expect(federation.approve('twin')).rejects.toMatchObject({ code: 'NODE_AMBIGUOUS' });
  await federation.approve(other.key.id.slice(0, 16));
  await other.welcome();
  await expect(federation.approve('twin')).rejects.toMatchObject({ code: 'NAME_TAKEN' });
  expect(one.saw('welcome')).toBe(false);
});

test('a revoked node is out when the answer comes: its processes, its link, its credential', async () => {
  await using federation = await startFederation({ workers: 2 });
  await using node = bareNode(federation.hub, { name: 'bare', token: await federation.token({}) });
  const { credential } = await node.welcome();
  const running = await federation.startJob({
    kind: 'broadcast',
    targets: ['w1', 'w2'],
    command: { shell: "trap '' TERM; while :; do sleep 0.1; done", timeoutMs: 60_000 },
  });
  await eventually('both run', () => running.started.size === 2);
  const at = running.opened!.targets.findIndex((target) => target.node === 'w1');
  const { pid } = running.started.get(at)!;

  expect(await federation.post('/nodes/w1/revoke')).toMatchObject({ state: 'revoked', address: null });
  await eventually('its processes are gone', () => !isAlive(pid), 3000);
  await eventually('its part has an end', () => running.results[at]);
  expect(['cancelled', 'unknown']).toContain(running.results[at]?.outcome);
  expect(isAlive(running.started.get(1 - at)!.pid)).toBe(true);
  await expect(federation.run(['w1'], 'true')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  await eventually('the node knows', () => federation.logs.some((line) => line.includes('"code":"REVOKED"')));

  const own = { host: '127.0.0.1', port: federation.hub.port, path: '/api/v1/node-host' };
  const headers = { authorization: `Bearer ${credential}` };
  expect((await ask({ ...own, headers })).status).toBe(200);
  await federation.post('/nodes/bare/revoke');
  expect((await ask({ ...own, headers })).status).toBe(401);
  running.leave();
});

test('nothing starts on a node after its revocation was answered', async () => {
  await using federation = await startFederation({ workers: 1 });
  const file = federation.home('starts');
  await writeFile(file, '');
  let revoked = false;
  const command = { shell: 'echo started >> "$FILE"; sleep 0.01', env: { FILE: file } };
  async function runUntilRevoked(): Promise<void> {
    while (!revoked) await federation.runJob({ kind: 'exec', targets: ['w1'], command }).catch(() => undefined);
  }
  const clients = Array.from({ length: 12 }, runUntilRevoked);
  await eventually('they run', async () => (await readFile(file, 'utf8')).length > 100);
  await federation.post('/nodes/w1/revoke');
  const before = await readFile(file, 'utf8');
  revoked = true;
  await Promise.all(clients);
  expect(await readFile(file, 'utf8')).toBe(before);
});

test('nothing is sent to a node after it was told that it is out, and its old credential stays dead', async () => {
  await using federation = await startFederation();
  const asked: string[] = [];
  await using node = bareNode(federation.hub, {
    token: await federation.token({}),
    onStream(stream, headers) {
      asked.push(String(headers[':path']));
      stream.resume();
      // Of its part in a job it says nothing, and takes its time to confirm the revocation.
      stream.respond({ ':status': 200 });
    },
  });
  const { credential } = await node.welcome();
  const command = { argv: ['true'] };
  for (let round = 0; round < 3; round += 1) {
    await federation.untilOnline('w1');
    asked.length = 0;
    const clients = Array.from({ length: 40 }, async (_, at) => {
      if (at === 20) await federation.post('/nodes/w1/revoke');
      else await federation.runJob({ kind: 'exec', targets: ['w1'], command }).catch(() => undefined);
    });
    await Promise.all(clients);
    expect(asked.filter((path) => path === '/revoke')).toHaveLength(1);
    expect(asked.at(-1)).toBe('/revoke');
    await federation.approve(node.key.id);
  }
  await federation.untilOnline('w1');
  const headers = { authorization: `Bearer ${credential}` };
  const door = { host: '127.0.0.1', port: federation.hub.port, path: '/api/v1/node-host', headers };
  expect((await ask(door)).status).toBe(401);
});

test('a revoked node comes back by an approval, as it was', async () => {
  await using federation = await startFederation();
  const token = await federation.token({ labels: { env: 'home' } });
  await using node = bareNode(federation.hub, { token });
  await node.welcome();
  await federation.post('/nodes/w1/revoke');
  await eventually('it is refused', () => node.saw('refused'));
  // Whoever writes the name may mean another node that is still to come.
  await expect(federation.approve('w1')).rejects.toMatchObject({ code: 'REVOKED' });
  await federation.approve(node.key.id);
  await federation.untilOnline('w1');
  expect(await federation.show('w1')).toMatchObject({ id: node.key.id, labels: { env: 'home' } });
});

test('a revoked node comes back by a new token', async () => {
  await using federation = await startFederation({ workers: 1 });
  await federation.post('/nodes/w1/revoke');
  await federation.stop('w1');
  await federation.start('w1', { token: await federation.token({ name: 'w1' }) });
  await federation.untilOnline('w1');
  expect(await federation.nodes()).toHaveLength(1);
});

test('a token lets one node in, of the name and role that it says', async () => {
  await using federation = await startFederation();
  const token = await federation.token({ name: 'gpu', labels: { role: 'gpu' } });
  await using misnamed = bareNode(federation.hub, { name: 'other', token });
  expect(await misnamed.refusal()).toBe('TOKEN_INVALID');
  await using master = bareNode(federation.hub, { name: 'gpu', role: 'master', token });
  expect(await master.refusal()).toBe('TOKEN_INVALID');
  await using right = bareNode(federation.hub, { name: 'gpu', token });
  await right.welcome();
  await using thief = bareNode(federation.hub, { name: 'gpu', token });
  expect(await thief.refusal()).toBe('TOKEN_INVALID');
  expect(await federation.nodes()).toEqual([
    expect.objectContaining({ id: right.key.id, name: 'gpu', role: 'worker', labels: { role: 'gpu' } }),
  ]);
});

test('no token is made for the name of a member, which could let nobody in', async () => {
  await using federation = await startFederation({ workers: 1 });
  await expect(federation.token({ name: 'w1' })).rejects.toMatchObject({
    code: 'NAME_TAKEN',
    hint: expect.stringContaining('manage-federation revoke w1') as string,
  });
  await federation.post('/nodes/w1/revoke');
  expect(await federation.token({ name: 'w1' })).toMatch(/^ocf1\./);
});

test('a token is no way to the name of another node', async () => {
  await using federation = await startFederation({ workers: 1 });
  await using usurper = bareNode(federation.hub, { name: 'w1', token: await federation.token({}) });
  expect(await usurper.refusal()).toBe('NAME_TAKEN');
});

test('a worker whose token was refused waits for a person instead, also the next time', async () => {
  await using federation = await startFederation();
  await federation.start('w1', { token: await federation.token({ name: 'other' }) });
  await eventually('it is refused', () => federation.logs.some((line) => line.includes('"code":"TOKEN_INVALID"')));
  await eventually('the token is gone', () =>
    readFile(join(federation.home('w1'), 'join-token')).then(
      () => false,
      () => true,
    ),
  );
  await federation.stop('w1');
  await federation.start('w1');
  expect(await eventually('it waits', async () => nonEmpty(await federation.pending()))).toHaveLength(1);
});

test('the secret of a token goes to no hub but the one that the token names', async () => {
  await using federation = await startFederation();
  const token = await federation.token({});
  const secret = token.split('.')[2]!;
  const asked: unknown[] = [];
  const impostor = await startBareHub({ admit: (applicant) => Promise.reject(Error(String(asked.push(applicant)))) });
  onTestFinished(() => impostor.close());
  let sent = '';
  const wire = await startProxy(impostor.port, {
    fromNode(chunk, _node, hub) {
      sent += chunk.toString('latin1');
      hub.write(chunk);
    },
  });
  onTestFinished(() => wire.close());
  await federation.start('w1', { token, settings: { worker: { hub: `127.0.0.1:${wire.port}` } } });
  await eventually('it is off', () => federation.logs.some((line) => line.includes('HUB_KEY_MISMATCH')));
  expect(sent).toContain('"hello"');
  expect(sent).not.toContain('proof');
  expect(sent).not.toContain(secret);
  expect(asked).toEqual([]);
  expect(await readFile(join(federation.home('w1'), 'join-token'), 'utf8')).toContain(secret);
});

test('of a token the hub keeps the hash alone', async () => {
  await using federation = await startFederation();
  const secret = (await federation.token({ name: 'findable-name' })).split('.')[2]!;
  const files = ['hub.sqlite', 'hub.sqlite-wal'].map((name) => readFile(join(federation.home('master'), name)));
  const store = Buffer.concat(await Promise.all(files));
  expect(store.includes('findable-name')).toBe(true);
  expect(store.includes(secret)).toBe(false);
  expect(store.includes(Buffer.from(secret, 'base64url'))).toBe(false);
  expect(federation.logs.join('')).not.toContain(secret);
});

test('no more nodes may wait from one address than the settings say', async () => {
  await using federation = await startFederation({ hub: { hub: { pendingPerSource: 2 } } });
  await using one = bareNode(federation.hub, { name: 'a' });
  await using two = bareNode(federation.hub, { name: 'b' });
  await Promise.all([one.waiting(), two.waiting()]);
  await using three = bareNode(federation.hub, { name: 'c' });
  expect(await three.refusal()).toBe('PENDING_FULL');
  await using member = bareNode(federation.hub, { name: 'd', token: await federation.token({}) });
  await member.welcome();
  await federation.approve('a');
  await three.waiting();
});

test('what ran when the hub died is unknown, and its end is asked for when its node is back', async () => {
  await using federation = await startFederation({ workers: 1 });
  const hold = federation.home('hold');
  const command = { shell: 'while [ ! -e "$HOLD" ]; do sleep 0.05; done; exit 3', env: { HOLD: hold } };
  const running = await federation.startJob({ kind: 'exec', targets: ['w1'], command });
  await eventually('it runs', () => running.started.size === 1);
  const putBack = imageOf(federation);
  federation.cable('w1').cut();
  await running.over;
  await federation.stopHub();
  putBack();
  await federation.startHub();

  const path = `/jobs/${running.opened!.job}`;
  const job = await federation.get<{ endedAt: string | null; summary: object }>(path);
  expect(job).toMatchObject({ endedAt: expect.any(String) as string, summary: { unknown: 1 } });
  await appendFile(hold, '');
  federation.cable('w1').mend();
  await eventually('its end is known', async () => {
    const { summary } = await federation.get<{ summary: object }>(path);
    return 'failed' in summary;
  });
  expect(await federation.get('/audit/verdict')).toMatchObject({ whole: true });
});

test('a hub that another one has replaced gets no link and runs nothing', async () => {
  await using federation = await startFederation({ workers: 1 });
  await federation.restartHub();
  await federation.untilOnline('w1');
  await federation.stopHub();
  const store = new DatabaseSync(join(federation.home('master'), 'hub.sqlite'));
  store.prepare('UPDATE meta SET value = ? WHERE key = ?').run('0', 'epoch');
  store.close();
  await federation.startHub();
  expect(await federation.get('/status')).toMatchObject({ epoch: 1 });
  await eventually('the node refuses it', () => federation.logs.some((line) => line.includes('"code":"EPOCH_STALE"')));
  await eventually('it is not linked', async () => !(await federation.isOnline('w1')));
  const { ended } = await federation.run(['w1'], 'true');
  expect(ended?.summary).toEqual({ unreachable: 1 });
});

test('a node that says over its link that the hub is replaced was not reached', async () => {
  await using federation = await startFederation();
  await using node = bareNode(federation.hub, {
    token: await federation.token({}),
    onStream(stream) {
      stream.resume();
      stream.respond({ ':status': 409, 'content-type': 'application/json' });
      stream.end('{"code":"EPOCH_STALE","message":"over"}');
    },
  });
  await node.welcome();
  await federation.untilOnline('w1');
  const { results } = await federation.run(['w1'], 'true');
  expect(results).toEqual([expect.objectContaining({ outcome: 'unreachable', reason: 'the node answered 409' })]);
});

/** The store as a crash would leave it now; it can be put back. */
function imageOf(federation: Federation): () => void {
  const master = federation.home('master');
  const files = ['hub.sqlite', 'hub.sqlite-wal'];
  for (const file of files) copyFileSync(join(master, file), join(federation.directory, file));
  return () => {
    for (const file of files) copyFileSync(join(federation.directory, file), join(master, file));
  };
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function nonEmpty<T>(list: readonly T[]): readonly T[] | null {
  return list.length === 0 ? null : list;
}

function count(node: { events: readonly { type: string }[] }, type: string): number {
  return node.events.filter((event) => event.type === type).length;
}

test('a member that offers more than it was granted goes on with what it has until a person approves more', async () => {
  await using federation = await startFederation();
  const key = newKey();
  {
    await using light = bareNode(federation.hub, { key, token: await federation.token({}), offers: ['exec'] });
    await light.welcome();
  }
  await using more = bareNode(federation.hub, { key, offers: ['exec', 'node-host'] });
  await more.welcome();
  const offers = async () => (await federation.show('w1')).offers;
  expect(await offers()).toEqual(['exec']);
  expect(await federation.pending()).toEqual([expect.objectContaining({ name: 'w1', offers: ['exec', 'node-host'] })]);
  await federation.approve('w1');
  expect(await offers()).toEqual(['exec', 'node-host']);
  expect(await federation.pending()).toEqual([]);
});

test('a request that changes while it waits is not approved as what it has become', async () => {
  await using federation = await startFederation();
  const key = newKey();
  {
    await using seen = bareNode(federation.hub, { key });
    await seen.waiting();
  }
  await using now = bareNode(federation.hub, { key, role: 'hybrid' });
  await now.waiting();
  const [request] = await federation.pending();
  expect(request?.held).toContain('it asked as worker w1');
  await expect(federation.approve('w1')).rejects.toMatchObject({ code: 'HELD' });
});

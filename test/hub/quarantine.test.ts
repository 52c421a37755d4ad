import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditView } from '#src/protocol/hub-api/audit.ts';
import type { Judgement } from '#src/protocol/hub-api/judgement.ts';
import type { NodeDetail } from '#src/protocol/hub-api/node.ts';
import type { PairingRequestView } from '#src/protocol/hub-api/pairing-request.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import type { KeyPair } from '#src/link/key.ts';
import { keyPair } from '#src/link/key.ts';
import type { BareNode, BareNodeOptions } from '../support/bare-node.ts';
import { bareNode } from '../support/bare-node.ts';
import { layCable } from '../support/cable.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeTailscaled } from '../support/fake-tailscaled.ts';
import { fakeTailscaled, running } from '../support/fake-tailscaled.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { ask } from '../support/http.ts';
import { newKey } from '../support/link.ts';

/** Addresses of the machines `nHome` and `nLaptop`, and one that the tailnet does not know. */
const HOME = '127.0.77.5';
const LAPTOP = '127.0.77.6';
const NOWHERE = '127.0.77.9';

let tailscaled: FakeTailscaled;
let federation: Federation;
const others: (() => Promise<void>)[] = [];

beforeEach(async () => {
  tailscaled = await fakeTailscaled(running(['127.0.77.1']));
  tailscaled.identities.set(HOME, machine('nHome', 'home-server', { tags: ['tag:server'] }));
  tailscaled.identities.set(LAPTOP, machine('nLaptop', 'laptop', { user: 'ann@example.com' }));
  federation = await startFederation({ hub: { hub: { tailnet: true }, tailscale: { socket: tailscaled.socket } } });
});

afterEach(async () => {
  for (const end of others.splice(0)) await end();
  await federation[Symbol.asyncDispose]();
  await tailscaled[Symbol.asyncDispose]();
});

function machine(id: string, name: string, { user, tags }: { user?: string; tags?: readonly string[] }) {
  return {
    Node: { StableID: id, Name: `${name}.tail.lab.`, Tags: tags ?? null },
    UserProfile: { LoginName: user ?? 'tagged-devices' },
  };
}

/** A node that comes from that address until the test is over. */
async function nodeFrom(address: string, options: BareNodeOptions = {}): Promise<BareNode> {
  const cable = await layCable(() => federation.hub.port, address);
  const node = bareNode(federation.hub, { ...options, hub: { host: '127.0.0.1', port: cable.port } });
  others.push(async () => {
    await node.stop();
    await cable.close();
  });
  return node;
}

/** The key of `w1`, a member on `nHome`. */
async function memberAtHome(): Promise<{ readonly key: KeyPair; readonly node: BareNode }> {
  const node = await nodeFrom(HOME, { token: await federation.token({ labels: { env: 'home' } }) });
  await node.welcome();
  await federation.untilOnline('w1');
  return { key: node.key, node };
}

const isHome = { tailnet: { stableId: 'nHome' } };
const detail = (word: string) => federation.show(word);
const judged = (word: string): Promise<Judgement> => federation.post(`/pairing-requests/${word}/judge`, {});
const waitingFor = (kind: string): Promise<PairingRequestView> =>
  eventually(`a request to ${kind}`, async () => (await federation.pending()).find((one) => one.kind === kind));
const audited = async (action: string) =>
  (await federation.get<AuditView[]>('/audit?limit=1000')).filter((record) => record.action === action);

async function untilState(word: string, state: string): Promise<NodeDetail> {
  return eventually(`${word} is ${state}`, async () => {
    const node = await detail(word);
    return node.state === state ? node : null;
  });
}

async function useRules(text: string): Promise<void> {
  await writeFile(join(federation.home('master'), 'approval-policy.yaml'), text);
  await eventually('the rules are read', async () => {
    const { policy } = await federation.get<Status>('/status');
    return policy.state === 'loaded';
  });
}

describe('a member’s key on another machine', () => {
  test('is under quarantine, shown, and out until a person says that it moved', async () => {
    const { key, node } = await memberAtHome();
    await node.stop();
    await untilState('w1', 'offline');
    await useRules(
      'rules: [{ name: anns, when: { user: ann@example.com }, then: approve, labels: { env: stolen } }]\n',
    );
    const moved = await nodeFrom(LAPTOP, { key });
    await moved.waiting();

    const said = 'it is w1, and asks from the machine nLaptop instead of its own machine';
    expect(moved.events.find(({ type }) => type === 'waiting')).toMatchObject({ held: said });
    expect(await waitingFor('moved')).toMatchObject({
      id: key.id,
      name: 'w1',
      held: said,
      tailnet: { stableId: 'nLaptop' },
    });
    expect((await federation.nodes()).map(({ name, state }) => `${name} ${state}`)).toEqual(['w1 quarantined']);
    expect(await detail('w1')).toMatchObject({ ...isHome, quarantine: 'its key asks from the machine nLaptop' });
    expect((await audited('node.quarantine')).map((one) => one.detail['machine'])).toEqual(['nLaptop']);

    // Neither the rules nor a plain approval are enough, and it is nobody’s target.
    expect(await judged('w1')).toMatchObject({ verdict: 'hold', rule: 'anns', done: 'nothing' });
    await expect(federation.approve('w1')).rejects.toMatchObject({ code: 'HELD', message: said, hint: /--replace/ });
    expect((await federation.run(['w1'], 'true')).ended?.summary).toEqual({ unreachable: 1 });
    expect(moved.saw('welcome')).toBe(false);

    expect(await federation.approve('w1', true)).toMatchObject({ id: key.id, replaced: [] });
    await moved.welcome();
    expect(await untilState('w1', 'online')).toMatchObject({
      ...{ tailnet: { stableId: 'nLaptop' }, labels: { env: 'home' }, quarantine: null },
    });
    // From then on it is the former machine that is not its own.
    await (await nodeFrom(HOME, { key })).waiting();
  });

  test('gets nothing while the member’s own link lives, and takes nothing from it', async () => {
    const { key, node } = await memberAtHome();
    const { credential } = await node.welcome();
    const thief = await nodeFrom(LAPTOP, { key });
    await thief.waiting();
    expect(await detail('w1')).toMatchObject({ state: 'online', address: HOME, quarantine: null });
    expect(thief.streams).toEqual([]);
    const headers = { authorization: `Bearer ${credential}` };
    const door = { host: '127.0.0.1', port: federation.hub.port, path: '/api/v1/node-host', headers };
    expect((await ask({ ...door, localAddress: HOME })).status).toBe(200);
    expect((await ask({ ...door, localAddress: LAPTOP })).status).toBe(401);
  });

  test('ends the link from the former machine, and what runs there, once a person says that it moved', async () => {
    const worker = await federation.start('w1', { from: HOME });
    await federation.untilOnline('w1');
    const running = await federation.startJob({ kind: 'exec', targets: ['w1'], command: { argv: ['sleep', '60'] } });
    const { pid } = await eventually('it runs', () => running.started.get(0));
    // The same home elsewhere: a disk that was copied.
    const copy = await nodeFrom(LAPTOP, {
      key: keyPair(await readFile(join(federation.home('w1'), 'node.key'), 'utf8')),
    });
    await copy.waiting();
    await federation.approve('w1', true);
    expect(isAlive(pid)).toBe(false);
    await running.over;
    await copy.welcome();
    expect(await untilState('w1', 'online')).toMatchObject({ id: worker.id, address: LAPTOP });
    await eventually('the former machine knows', () =>
      federation.logs.some((line) => line.includes('"code":"REVOKED"')),
    );
  });

  test('is refused once it was rejected, and the member comes back where it belongs', async () => {
    const { key, node } = await memberAtHome();
    await node.stop();
    const thief = await nodeFrom(LAPTOP, { key });
    await thief.waiting();
    await untilState('w1', 'quarantined');
    await federation.post('/pairing-requests/w1/reject');
    expect(await thief.refusal()).toBe('FORBIDDEN');
    await untilState('w1', 'offline');
    await (await nodeFrom(HOME, { key })).welcome();
    expect(await untilState('w1', 'online')).toMatchObject(isHome);
  });

  test.each([
    ['an address that the tailnet does not know', NOWHERE],
    ['the master itself', '127.0.0.1'],
  ])('is as much elsewhere at %s', async (_, address) => {
    const { key, node } = await memberAtHome();
    await node.stop();
    await (await nodeFrom(address, { key })).waiting();
    expect(await waitingFor('moved')).toMatchObject({
      tailnet: null,
      held: 'it is w1, and asks from outside the tailnet instead of its own machine',
    });
  });

  test('stays under quarantine when the hub starts anew', async () => {
    const { key, node } = await memberAtHome();
    await node.stop();
    const thief = await nodeFrom(LAPTOP, { key });
    await thief.waiting();
    await thief.stop();
    await federation.restartHub();
    expect(await detail('w1')).toMatchObject({ state: 'quarantined', ...isHome });
    await expect(federation.approve('w1')).rejects.toMatchObject({ code: 'HELD' });
  });

  test('is asked to wait, and nobody is suspected, while the tailnet can’t say which machine it is', async () => {
    const { key, node } = await memberAtHome();
    await node.stop();
    tailscaled.answer = (_, response) => void response.writeHead(500).end('no');
    const back = await nodeFrom(HOME, { key });
    expect(await back.refusal()).toBe('TAILNET_DOWN');
    expect(await federation.pending()).toEqual([]);
    expect(await detail('w1')).toMatchObject({ state: 'offline', ...isHome });
    tailscaled.answer = null;
    await back.welcome();
  });
});

describe('a member’s machine with another key', () => {
  test('is under quarantine under its name, and the new key takes its place when a person says so', async () => {
    const { key: former, node } = await memberAtHome();
    await node.stop();
    const renewed = await nodeFrom(HOME);
    await renewed.waiting();
    expect(await waitingFor('join')).toMatchObject({ held: 'the name w1 belongs to another node' });
    expect(await detail(former.id)).toMatchObject({
      state: 'quarantined',
      quarantine: 'its machine asks with another key',
    });
    expect(await judged(renewed.key.id)).toMatchObject({ verdict: 'hold', done: 'nothing' });
    await expect(federation.approve('w1')).rejects.toMatchObject({ code: 'NAME_TAKEN', hint: /--replace/ });

    expect(await federation.approve('w1', true)).toMatchObject({ id: renewed.key.id, replaced: [former.id] });
    await renewed.welcome();
    expect(await detail(former.id)).toMatchObject({ state: 'revoked' });
    const old = await nodeFrom(HOME, { key: former });
    expect(await old.refusal()).toBe('REVOKED');
  });

  test('is known under another name too: no rule lets it in, and --replace means the node that the machine was', async () => {
    const { key: former } = await memberAtHome();
    await useRules('rules: [{ name: servers, when: { tag: "tag:server" }, then: approve }]\n');
    const other = await nodeFrom(HOME, { name: 'other' });
    await other.waiting();
    expect(await waitingFor('join')).toMatchObject({ held: 'its machine is the node w1, under another key' });
    expect(await judged('other')).toMatchObject({ verdict: 'hold', done: 'nothing' });
    await expect(federation.approve('other')).rejects.toMatchObject({ code: 'HELD', hint: /--replace/ });
    expect(await federation.approve('other', true)).toMatchObject({ replaced: [former.id] });
    await other.welcome();
    expect(await detail(former.id)).toMatchObject({ state: 'revoked' });
  });

  test('of which a person let in several, loses none but the one whose name is taken over', async () => {
    const { key: former } = await memberAtHome();
    const second = await nodeFrom(HOME, { name: 'a2', token: await federation.token({}) });
    await second.welcome();
    const renewed = await nodeFrom(HOME);
    await renewed.waiting();
    expect(await federation.approve('w1', true)).toMatchObject({ replaced: [former.id] });
    expect(await detail('a2')).toMatchObject({ state: 'online' });
    const third = await nodeFrom(HOME, { name: 'a3' });
    await third.waiting();
    expect(await waitingFor('join')).toMatchObject({ held: 'its machine has the nodes a2, w1, under other keys' });
    expect(await federation.approve('a3', true)).toMatchObject({ replaced: [] });
  });
});

describe('a machine that was put out', () => {
  test.each(['revoked', 'rejected'])('is let in under another key and name by no rule: %s', async (how) => {
    if (how === 'revoked') {
      await memberAtHome();
      await federation.post('/nodes/w1/revoke');
    } else {
      await (await nodeFrom(HOME)).waiting();
      await federation.post('/pairing-requests/w1/reject');
    }
    await useRules('rules: [{ name: servers, when: { tag: "tag:server" }, then: approve }]\n');
    const other = await nodeFrom(HOME, { name: 'other' });
    await other.waiting();
    expect(await judged('other')).toMatchObject({ verdict: 'hold', done: 'nothing' });
    expect((await federation.pending()).find(({ name }) => name === 'other')).toMatchObject({
      held: expect.stringMatching(new RegExp(`^its machine (?:was|asked as) .*w1.*${how}$`)),
    });
    await federation.approve('other');
    await other.welcome();
  });
});

describe('what the tailnet says', () => {
  test('decides, whatever the node says of itself', async () => {
    await useRules(`
rules:
  - { name: servers, when: { tag: 'tag:server' }, then: approve, labels: { place: rack } }
  - { name: by name, when: { name: 'db*', tag: 'tag:db' }, then: approve }
`);
    const lie = {
      ...{ tailnet: { stableId: 'nHome', tags: ['tag:server', 'tag:db'] }, stableId: 'nHome', tags: ['tag:server'] },
      ...{ labels: { place: 'rack' }, groups: ['gpu'], granted: ['exec'], address: HOME, held: null },
    };
    const liar = await nodeFrom(LAPTOP, { name: 'db1', ...(lie as object) });
    await liar.waiting();
    expect(await waitingFor('join')).toMatchObject({
      ...{ name: 'db1', address: LAPTOP, token: null },
      tailnet: { stableId: 'nLaptop', user: 'ann@example.com', tags: [] },
    });
    expect(await judged('db1')).toMatchObject({ verdict: 'hold', rule: null, done: 'nothing' });
    await federation.approve('db1');
    await liar.welcome();
    expect(await detail('db1')).toMatchObject({ labels: {}, groups: [], tailnet: { stableId: 'nLaptop' } });
  });

  test('is asked anew each time: a tag that was taken away opens nothing any more', async () => {
    await useRules('rules: [{ name: servers, when: { tag: "tag:server" }, then: approve }]\n');
    await (await nodeFrom(HOME)).waiting();
    expect(await waitingFor('join')).toMatchObject({ tailnet: { tags: ['tag:server'] } });
    tailscaled.identities.set(HOME, machine('nHome', 'home-server', { tags: ['tag:guest'] }));
    await (await nodeFrom(HOME, { name: 'w2' })).waiting();
    expect(await judged('w2')).toMatchObject({ verdict: 'hold', rule: null });
  });
});

test('a node that says something else each time it asks fills neither the audit nor the log', async () => {
  const key = newKey();
  let says = 0;
  const node = await nodeFrom(LAPTOP, { key, offers: ['exec'] });
  await node.waiting();
  for (; says < 40; says += 1) {
    const again = await nodeFrom(LAPTOP, { key, name: `n${says}` });
    await eventually('it was answered', () => again.saw('waiting') || again.saw('refused'));
    await again.stop();
  }
  const [request] = await federation.pending();
  expect(request).toMatchObject({ held: expect.stringContaining('it asked as worker w1') as string });
  expect((await audited('node.ask')).length).toBeLessThanOrEqual(2);
  expect(federation.logs.filter((line) => line.includes('a node waits for approval')).length).toBeLessThanOrEqual(2);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

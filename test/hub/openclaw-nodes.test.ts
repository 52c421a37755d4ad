import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Identity, TailnetMachine } from '#src/core/identity.ts';
import type { OpenClawNode } from '#src/core/openclaw-node.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { OpenClawNodes } from '#src/hub/openclaw/nodes.ts';
import { openOpenClawNodes } from '#src/hub/openclaw/nodes.ts';
import type { JudgedRequest, Ruling } from '#src/hub/enrolment/requests.ts';
import { DEVICE } from '../support/at-gateway.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { fakePairing } from '../support/fake-pairing.ts';
import type { FakePairing } from '../support/fake-pairing.ts';
import { until } from '../support/link.ts';
import { SILENT_LOG, aMember } from '../support/member.ts';

const OTHER = 'e'.repeat(64);
const COMMANDS = ['system.run', 'system.which'];
const PERSON = { by: 'kim', replace: false };
const MINUTE = 60_000;

let directory: string;
let fake: FakeGateway;
let openclaw: FakePairing;
let store: Store;
let clock: number;
let isLockedDown: boolean;
let machines: Map<string, Identity>;
/** Of the hub, and of the gateway's connection, which a test may end alone. */
let stopping: AbortController;
let gateway: Gateway;
let membership: MembershipKeeper;
let nodes: OpenClawNodes;
let news: JudgedRequest[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-openclaw-nodes-'));
  fake = await fakeGateway();
  openclaw = fakePairing(fake);
  store = openSqliteStore(join(directory, 'hub.sqlite'));
  clock = Date.now();
  isLockedDown = false;
  machines = new Map();
  await openHub();
});

afterEach(async () => {
  await closeHub();
  await store.close();
  await fake.close();
  await rm(directory, { recursive: true });
});

async function openHub(): Promise<void> {
  stopping = new AbortController();
  const { signal } = stopping;
  gateway = connectGateway({ url: fake.url, token: () => 't', trusts: () => true, log: SILENT_LOG, signal });
  membership = await openMembership({ store, log: SILENT_LOG, now: () => clock });
  const identify = async (address: string): Promise<Identity> => machines.get(address) ?? { kind: 'stranger' };
  const sources = { gateway, store, membership, identify, isLockedDown: () => isLockedDown };
  nodes = await openOpenClawNodes({ ...sources, log: SILENT_LOG, signal });
  news = [];
  nodes.changes.on('request', (asked) => void news.push(asked));
  await until('the gateway is there', () => gateway.status().state === 'connected');
}

async function closeHub(): Promise<void> {
  stopping.abort();
  await Promise.all([nodes.done, gateway.close()]);
  await membership.settled();
}

async function restartHub(): Promise<void> {
  await closeHub();
  await openHub();
}

function machine(stableId: string): Identity {
  return { kind: 'machine', machine: { stableId, name: stableId, user: 'kim@example.com', tags: [] } };
}

/** Waits until exactly one such request waits. */
async function waiting(kind: 'device' | 'surface', deviceId = DEVICE): Promise<JudgedRequest> {
  const all = () => nodes.requests().filter(({ request }) => request.kind === kind && request.keyId === deviceId);
  await until(`a ${kind} request waits`, () => all().length === 1);
  return all()[0]!;
}

async function approve(asked: JudgedRequest, replace = false) {
  return nodes.approve(asked.request.id, { ...PERSON, replace });
}

function stateOf(deviceId = DEVICE): string | undefined {
  return nodes.node(deviceId)?.state;
}

async function untilState(state: string | undefined, deviceId = DEVICE): Promise<void> {
  await until(`it is ${state}`, () => stateOf(deviceId) === state);
}

async function audit(): Promise<[string, string, unknown][]> {
  const records = await store.audit(0, 1000);
  return records.map(({ action, by, detail }) => [action, by, (detail as { kind: unknown }).kind]);
}

async function recordOf(deviceId = DEVICE) {
  return (await store.openclawNodes()).find((node) => node.deviceId === deviceId);
}

/** The gateway goes away whenever it is asked that; returns what ends it. */
function failing(method: string): () => void {
  const answer = fake.answers.get(method)!;
  fake.answers.set(method, (params) => {
    for (const socket of fake.sockets) socket.terminate();
    return answer(params);
  });
  return () => void fake.answers.set(method, answer);
}

function ruled(act: Ruling['act']): Ruling {
  return { act, labels: {}, groups: [], models: false, detail: { rule: 'phones', verdict: act } };
}

describe('what waits', () => {
  test('shows who asks, from which machine, and is said once', async () => {
    machines.set('100.64.0.7', machine('nPhone'));
    openclaw.asks(DEVICE, { remoteIp: '100.64.0.7' });
    const { request, held } = await waiting('device');
    expect(request).toMatchObject({
      kind: 'device',
      keyId: DEVICE,
      name: 'phone',
      role: 'node-host',
      address: '100.64.0.7',
      tailnet: { stableId: 'nPhone' },
      version: null,
      commands: null,
      offers: [],
      rejected: false,
    });
    expect(request.id).toMatch(/^[0-9a-f]{32}$/);
    expect(request.expiresAt).toBe(request.firstAskedAt + 5 * MINUTE);
    expect(held).toBeNull();
    openclaw.asks(OTHER);
    await waiting('device', OTHER);
    expect(news.map((asked) => asked.request.keyId)).toEqual([DEVICE, OTHER]);
  });

  test('has a name that no node of ours may come under without a person', async () => {
    openclaw.asks(DEVICE, {});
    const asked = await waiting('device');
    const ours = { ...asked.request, kind: 'join', role: 'worker' } as const;
    expect(nodes.nameHeld(ours)).toBeNull();
    await approve(asked);
    await until('it is one of OpenClaw’s own nodes', () => nodes.list().some(({ name }) => name === 'phone'));
    expect(nodes.nameHeld({ ...ours, name: 'Phone' })).toBe('the name Phone belongs to one of OpenClaw’s own nodes');
    expect(nodes.nameHeld({ ...ours, name: 'phone2' })).toBeNull();
    expect(nodes.nameHeld({ ...ours, kind: 'device' })).toBeNull();
  });

  test('is said again when it asks from another machine', async () => {
    machines.set('100.64.0.7', machine('nPhone')).set('100.64.0.8', machine('nThief'));
    openclaw.asks(DEVICE, { remoteIp: '100.64.0.7' });
    await until('it is said', () => news.length === 1);
    openclaw.asks(DEVICE, { remoteIp: '100.64.0.8' });
    fake.announce('presence');
    await until('it is said again', () => news.length === 2);
    expect(news[1]?.request.tailnet?.stableId).toBe('nThief');
  });

  test('is held while the tailnet does not say which machine it is, and is asked for again', async () => {
    machines.set('100.64.0.7', { kind: 'unknown', problem: 'tailscaled is away' });
    openclaw.asks(DEVICE, { remoteIp: '100.64.0.7' });
    expect((await waiting('device')).held).toContain('does not say yet');
    machines.set('100.64.0.7', machine('nPhone'));
    await until('it is known', () => nodes.requests()[0]?.request.tailnet?.stableId === 'nPhone');
    expect(nodes.requests()[0]?.held).toBeNull();
  });

  test('has a name that can be seen and is one line, whatever it says', async () => {
    openclaw.asks(DEVICE, { displayName: `\u001b[2J\u202ekim’s\n 📱${'x'.repeat(200)}` });
    const { request } = await waiting('device');
    expect(request.name).toBe(`\ufffd[2Jkim’s\ufffd 📱${'x'.repeat(51)}…`);
    openclaw.asks(OTHER, { displayName: ' ' });
    expect((await waiting('device', OTHER)).request.name).toBe('eeee-eeee-eeee-eeee');
  });

  test('as a node and an operator is held, and neither a person here nor a rule lets it in', async () => {
    const requestId = openclaw.asks(DEVICE, { roles: ['node', 'operator'], scopes: ['operator.read'] });
    const asked = await waiting('device');
    expect(asked.held).toBe('it asks to operate OpenClaw too');
    const held = { code: 'HELD', hint: `openclaw devices approve ${requestId}` };
    await expect(approve(asked, true)).rejects.toMatchObject(held);
    await expect(nodes.judge(asked.request.id, 'rules', () => ruled('approve'))).rejects.toMatchObject(held);
    expect([openclaw.paired.size, await store.openclawNodes(), await audit()]).toEqual([0, [], []]);
    expect(openclaw.approves(requestId)).toBe(true);
    await untilState('half-approved');
  });

  test('as an operator too is not what was approved as a node before', async () => {
    const said = { ts: Date.now() - MINUTE };
    openclaw.asks(DEVICE, said);
    await approve(await waiting('device'));
    await untilState('half-approved');
    openclaw.asks(DEVICE, { ...said, roles: ['node', 'operator'] });
    expect((await waiting('device')).held).toBe('it asks to operate OpenClaw too');
  });

  test('is held where a member or another node has its name', async () => {
    await membership.commit([{ type: 'changed', member: aMember({ name: 'attic' }) }], []);
    openclaw.asks(DEVICE, { displayName: 'Attic' });
    expect((await waiting('device')).held).toBe('the name Attic belongs to another node');
    openclaw.approves(openclaw.asks(OTHER, { displayName: 'phone' }));
    const third = 'f'.repeat(64);
    openclaw.asks(third, { displayName: 'Phone' });
    await until('it is held', () =>
      nodes.requests().some(({ request, held }) => request.keyId === third && held !== null),
    );
    expect((await waiting('device')).held).not.toBeNull();
  });
});

describe('a person’s approval', () => {
  test('of a device is kept before the gateway hears of it, and brings in its commands too', async () => {
    openclaw.asks(DEVICE);
    const asked = await waiting('device');
    const told = fake.answers.get('device.pair.approve')!;
    let kept: unknown;
    const looked = Promise.withResolvers<void>();
    fake.answers.set('device.pair.approve', (params) => {
      void recordOf().then((node) => {
        kept = node;
        looked.resolve();
      });
      return told(params);
    });
    const approved = await approve(asked);
    await looked.promise;
    expect(kept).toMatchObject({ approvedBy: 'kim', rule: null, commands: null, removing: false });
    expect(approved).toEqual({ kind: 'device', id: DEVICE, name: 'phone', role: 'node-host', replaced: [] });
    await untilState('half-approved');

    openclaw.offers(DEVICE, COMMANDS);
    await untilState('connected');
    expect(nodes.node(DEVICE)).toMatchObject({ name: 'phone', commands: COMMANDS, approvedBy: 'kim' });
    expect((await recordOf())?.commands).toEqual(COMMANDS);
    expect(await audit()).toEqual([
      ['node.approve', 'kim', 'device'],
      ['node.approve', 'kim', 'surface'],
    ]);
    expect(news).toHaveLength(1);
  });

  test('of commands that come later is one of its own', async () => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    openclaw.offers(DEVICE, ['system.which']);
    await untilState('connected');
    openclaw.offers(DEVICE, COMMANDS);
    const { request } = await waiting('surface');
    expect(request).toMatchObject({ commands: COMMANDS, openclawVersion: '2026.9.6' });
    expect(nodes.node(DEVICE)?.commands).toEqual(['system.which']);
    await nodes.approve(request.id, PERSON);
    await until('it has them', () => nodes.node(DEVICE)?.commands.length === 2);
  });

  test('finds a node that was let in half by somebody else, and finishes it', async () => {
    openclaw.approves(openclaw.asks(DEVICE));
    openclaw.offers(DEVICE, COMMANDS);
    const asked = await waiting('surface');
    await untilState('half-approved');
    expect(nodes.node(DEVICE)?.approvedBy).toBeNull();
    await approve(asked);
    await untilState('connected');
    expect(nodes.node(DEVICE)?.approvedBy).toBe('kim');
  });

  test('that the gateway does not take is taken back', async () => {
    openclaw.asks(DEVICE);
    const asked = await waiting('device');
    openclaw.expires(gateway.requests()[0]!.requestId);
    await expect(approve(asked)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
    expect(await recordOf()).toBeUndefined();
    expect(await audit()).toEqual([
      ['node.approve', 'kim', 'device'],
      ['node.revoke', 'gateway', 'device'],
    ]);
  });

  test('does not reach one that took another name meanwhile', async () => {
    openclaw.asks(DEVICE);
    const asked = await waiting('device');
    openclaw.asks(DEVICE, { displayName: 'the-master' });
    await expect(approve(asked)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
    fake.announce('presence');
    await until('the new name shows', () => nodes.requests()[0]?.request.name === 'the-master');
    expect(openclaw.paired.size).toBe(0);
    expect(news).toHaveLength(2);
  });

  test('does not bring in the commands of one that connects from another machine', async () => {
    machines.set('100.64.0.7', machine('nPhone')).set('100.64.0.8', machine('nThief'));
    openclaw.asks(DEVICE, { remoteIp: '100.64.0.7' });
    await approve(await waiting('device'));
    openclaw.offers(DEVICE, COMMANDS, { remoteIp: '100.64.0.8' });
    const { held } = await waiting('surface');
    expect(held).toBe('it was approved on another machine');
    expect(openclaw.paired.get(DEVICE)?.surface).toBeNull();
  });

  const skipTime = (): void => void (clock += 10 * MINUTE + 1);
  const lockDown = (): void => void (isLockedDown = true);
  const nothing = (): void => undefined;

  test.each([
    ['later than ten minutes', {}, skipTime],
    ['under another name', { displayName: 'web-1' }, nothing],
    ['on another platform', { platform: 'darwin' }, nothing],
    ['on another kind of machine', { deviceFamily: 'iPhone' }, nothing],
    ['while the federation is locked down', {}, lockDown],
  ])('does not bring in commands that come %s', async (_, said, meanwhile) => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    await untilState('half-approved');
    meanwhile();
    openclaw.offers(DEVICE, COMMANDS, said);
    await until('that is said', () => news.some(({ request }) => request.kind === 'surface'));
    expect((await waiting('surface')).request.commands).toEqual(COMMANDS);
    expect(openclaw.paired.get(DEVICE)?.surface).toBeNull();
  });

  test('that was kept without what it runs on does not bring in its commands', async () => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    await untilState('half-approved');
    const { platform: _platform, deviceFamily: _family, ...old } = (await recordOf())!;
    await closeHub();
    await store.commit([{ type: 'openclaw_node', id: DEVICE, value: old as OpenClawNode }]);
    await openHub();
    openclaw.offers(DEVICE, COMMANDS);
    await until('that is said', () => news.some(({ request }) => request.kind === 'surface'));
    expect(openclaw.paired.get(DEVICE)?.surface).toBeNull();
  });

  test('of a name that another node has needs `replace`, which takes the other out', async () => {
    openclaw.asks(OTHER);
    await approve(await waiting('device', OTHER));
    openclaw.offers(OTHER, COMMANDS);
    await untilState('connected', OTHER);
    openclaw.asks(DEVICE);
    const asked = await waiting('device');
    await expect(approve(asked)).rejects.toMatchObject({ code: 'NAME_TAKEN' });
    expect(await approve(asked, true)).toMatchObject({ replaced: [OTHER] });
    await untilState(undefined, OTHER);
    expect([...openclaw.paired.keys()]).toEqual([DEVICE]);
  });

  test('that was to replace another and that the gateway refuses leaves the other in, and the audit says so', async () => {
    openclaw.asks(OTHER);
    await approve(await waiting('device', OTHER));
    openclaw.offers(OTHER, COMMANDS);
    await untilState('connected', OTHER);
    const requestId = openclaw.asks(DEVICE);
    const asked = await waiting('device');
    openclaw.expires(requestId);
    const from = (await audit()).length;
    await expect(approve(asked, true)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
    expect(stateOf(OTHER)).toBe('connected');
    expect(await recordOf(OTHER)).toMatchObject({ revokedAt: null, removing: false });
    const records = (await store.audit(0, 1000)).slice(from);
    expect(records.map(({ action, by, detail }) => [action, by, (detail as { id: string }).id])).toEqual([
      ['node.revoke', 'kim', OTHER],
      ['node.approve', 'kim', DEVICE],
      ['node.revoke', 'gateway', DEVICE],
      ['node.restore', 'gateway', OTHER],
    ]);
  });

  test('of more commands that the gateway refuses leaves the node as it was, and the audit says so', async () => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    openclaw.offers(DEVICE, ['system.which']);
    await untilState('connected');
    openclaw.offers(DEVICE, COMMANDS);
    const asked = await waiting('surface');
    const error = { code: 'FORBIDDEN', message: 'missing scope: operator.admin' };
    fake.answers.set('node.pair.approve', () => ({ ok: false, error }));
    await expect(approve(asked)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
    expect((await recordOf())?.commands).toEqual(['system.which']);
    const last = (await store.audit(0, 1000)).at(-1);
    expect(last).toMatchObject({ action: 'node.restore', by: 'gateway' });
    expect(last?.detail).toMatchObject({ id: DEVICE, commands: ['system.which'] });
  });

  test('of what waits no longer is none', async () => {
    await expect(nodes.approve('0'.repeat(32), PERSON)).rejects.toMatchObject({ code: 'REQUEST_NOT_FOUND' });
  });
});

describe('nothing is lost where', () => {
  test('the gateway goes away between the word and the deed', async () => {
    openclaw.asks(DEVICE);
    const asked = await waiting('device');
    const back = failing('device.pair.list');
    await expect(approve(asked)).resolves.toMatchObject({ id: DEVICE });
    expect(openclaw.paired.size).toBe(0);
    expect(nodes.requests()).toEqual([]);
    back();
    await until('it is done', () => openclaw.paired.has(DEVICE));
    expect(await audit()).toHaveLength(1);
  });

  test('the gateway goes away before anybody decides: what waits is said again', async () => {
    openclaw.asks(DEVICE);
    await waiting('device');
    fake.sockets.at(-1)?.close(1012, 'service restart');
    await until('nothing waits', () => nodes.requests().length === 0);
    await waiting('device');
    await until('it is said again', () => news.length === 2);
    expect(new Set(news.map(({ request }) => request.id)).size).toBe(1);
  });

  test('the hub is started again between the device and its commands', async () => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    await closeHub();
    openclaw.offers(DEVICE, COMMANDS);
    await openHub();
    await untilState('connected');
  });

  test('the hub is killed after it kept the approval of a device', async () => {
    const requestId = openclaw.asks(DEVICE);
    const { request } = await waiting('device');
    await closeHub();
    const { name, tailnet } = request;
    const decided = {
      platform: 'linux',
      deviceFamily: 'Linux',
      approvedAt: Date.now(),
      approvedBy: 'kim',
      rule: 'phones',
      commands: null,
    };
    const value = { deviceId: DEVICE, name, tailnet, ...decided, removing: false, revokedAt: null };
    await store.commit([{ type: 'openclaw_node', id: DEVICE, value }]);
    await openHub();
    await until('it is carried out', () => openclaw.paired.has(DEVICE));
    expect(openclaw.approves(requestId)).toBe(false);
  });

  test('the hub is started again while a removal was not confirmed', async () => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    await untilState('half-approved');
    const remove = fake.answers.get('node.pair.remove')!;
    const denied = () => ({ ok: false, error: { code: 'UNAVAILABLE', message: 'not now' } });
    fake.answers.set('node.pair.remove', denied).set('device.pair.remove', denied);
    await nodes.revoke(DEVICE, 'kim');
    await untilState('removing');
    await restartHub();
    expect(stateOf()).toBe('removing');
    fake.answers.set('node.pair.remove', remove);
    await untilState(undefined);
    expect(openclaw.paired.size).toBe(0);
  });
});

describe('the rules', () => {
  test('let in a device, and are asked again for its commands', async () => {
    openclaw.asks(DEVICE);
    const { request } = await waiting('device');
    await nodes.judge(request.id, 'auto-register', () => ruled('approve'));
    expect(await recordOf()).toMatchObject({ approvedBy: 'auto-register', rule: 'phones' });
    await untilState('half-approved');
    openclaw.offers(DEVICE, COMMANDS);
    const { request: surface } = await waiting('surface');
    expect(news.map((asked) => asked.request.kind)).toEqual(['device', 'surface']);
    await nodes.judge(surface.id, 'auto-register', () => ruled('approve'));
    await untilState('connected');
    expect(await audit()).toEqual([
      ['node.approve', 'auto-register', 'device'],
      ['node.approve', 'auto-register', 'surface'],
    ]);
  });

  test('reject one, which shows when it asks again', async () => {
    openclaw.asks(DEVICE);
    const { request } = await waiting('device');
    await nodes.judge(request.id, 'auto-register', () => ruled('reject'));
    await until('it is gone', () => nodes.requests().length === 0);
    openclaw.asks(DEVICE);
    expect((await waiting('device')).request.rejected).toBe(true);
    await approve(await waiting('device'));
    expect(openclaw.paired.has(DEVICE)).toBe(true);
  });

  test('leave one waiting, and say so', async () => {
    openclaw.asks(DEVICE);
    const { request } = await waiting('device');
    await nodes.judge(request.id, 'auto-register', () => ruled('nothing'));
    expect(await audit()).toEqual([['node.judge', 'auto-register', 'device']]);
    await waiting('device');
  });

  test('see what is true in their turn: a hundred of them let it in once', async () => {
    openclaw.asks(DEVICE);
    const { request } = await waiting('device');
    const judged = Array.from({ length: 100 }, () => nodes.judge(request.id, 'auto-register', () => ruled('approve')));
    await Promise.allSettled(judged);
    const told = fake.frames.filter((frame) => frame.includes('"device.pair.approve"'));
    expect(told).toHaveLength(1);
    expect(openclaw.paired.size).toBe(1);
  });
});

describe('a rejection', () => {
  test('turns it away at the gateway', async () => {
    openclaw.asks(DEVICE);
    const { request } = await waiting('device');
    expect((await nodes.reject(request.id, 'kim')).request.rejected).toBe(true);
    await until('it is gone', () => nodes.requests().length === 0);
    expect(await audit()).toEqual([['node.reject', 'kim', 'device']]);
  });

  test('is known after a restart of the hub, until somebody lets it in', async () => {
    openclaw.asks(DEVICE);
    await nodes.reject((await waiting('device')).request.id, 'kim');
    await restartHub();
    openclaw.asks(DEVICE);
    expect((await waiting('device')).request.rejected).toBe(true);
    await approve(await waiting('device'));
    expect(await store.openclawRejections()).toEqual([]);
  });

  test('is remembered for the latest thousand', async () => {
    await closeHub();
    const old = Array.from({ length: 1000 }, (_, index) => {
      const deviceId = index.toString(16).padStart(64, '0');
      const value = { kind: 'device', deviceId, rejectedAt: 1000 - index } as const;
      return { type: 'openclaw_rejection', id: `device ${deviceId}`, value } as const;
    });
    await store.commit(old);
    await openHub();
    openclaw.asks(DEVICE);
    await nodes.reject((await waiting('device')).request.id, 'kim');
    const kept = await store.openclawRejections();
    expect(kept).toHaveLength(1000);
    expect(kept.map(({ deviceId }) => deviceId)).toContain(DEVICE);
    expect(kept.map(({ rejectedAt }) => rejectedAt)).not.toContain(1);
  });
});

describe('a revocation', () => {
  beforeEach(async () => {
    openclaw.asks(DEVICE);
    await approve(await waiting('device'));
    openclaw.offers(DEVICE, COMMANDS);
    await untilState('connected');
  });

  test('takes the device out of the gateway, and no rule lets its key in again, also after a restart', async () => {
    await nodes.revoke(DEVICE, 'kim');
    await untilState(undefined);
    expect(openclaw.paired.size).toBe(0);
    await until('that is kept', () => nodes.list().length === 0);
    await restartHub();
    openclaw.asks(DEVICE);
    expect((await waiting('device')).held).toBe('it was revoked');
    await approve(await waiting('device'));
    await untilState('half-approved');
  });

  test('bars its machine too: another key from there is let in by a person alone', async () => {
    machines.set('100.64.0.7', machine('nPhone'));
    openclaw.asks(OTHER, { displayName: 'tablet', remoteIp: '100.64.0.7' });
    await approve(await waiting('device', OTHER));
    await nodes.revoke(OTHER, 'kim');
    await untilState(undefined, OTHER);
    await restartHub();
    const third = 'f'.repeat(64);
    openclaw.asks(third, { displayName: 'another', remoteIp: '100.64.0.7' });
    const asked = await waiting('device', third);
    expect(asked.held).toBe('its machine was the node tablet, which was revoked');
    await approve(asked);
    openclaw.offers(third, COMMANDS, { remoteIp: '100.64.0.7' });
    await untilState('connected', third);
  });

  test('reaches one that was let in at the gateway itself', async () => {
    openclaw.approves(openclaw.asks(OTHER, { displayName: 'tablet' }));
    await untilState('half-approved', OTHER);
    await nodes.revoke(OTHER, 'kim');
    await untilState(undefined, OTHER);
    expect([...openclaw.paired.keys()]).toEqual([DEVICE]);
  });

  // It is tried again after a time that grows.
  test(
    'that can not be kept is said, carried out all the same, and kept as soon as that can be',
    { timeout: 60_000 },
    async () => {
      const remove = fake.answers.get('device.pair.remove')!;
      const denied = () => ({ ok: false, error: { code: 'UNAVAILABLE', message: 'not now' } });
      fake.answers.set('node.pair.remove', denied).set('device.pair.remove', denied);
      const full = vi.spyOn(store, 'commit').mockRejectedValue(new FederationError('STORE_FAILED', 'the disk is full'));
      await expect(nodes.revoke(DEVICE, 'kim')).rejects.toMatchObject({ code: 'STORE_FAILED' });
      await until('the gateway was asked', () => fake.frames.some((frame) => frame.includes('"device.pair.remove"')));
      expect(openclaw.paired.size).toBe(1);
      fake.answers.set('node.pair.remove', remove).set('device.pair.remove', remove);
      await until('it is gone at the gateway', () => openclaw.paired.size === 0, 30_000);
      expect((await recordOf())?.revokedAt).toBeNull();
      full.mockRestore();
      await until('it is kept', () => nodes.list().length === 0, 50_000);
      expect(await recordOf()).toMatchObject({ removing: false, revokedAt: clock });
      expect((await audit()).filter(([action]) => action === 'node.revoke')).toEqual([
        ['node.revoke', 'kim', 'device'],
      ]);
      openclaw.asks(DEVICE);
      expect((await waiting('device')).held).toBe('it was revoked');
    },
  );

  test('that can not be kept does not reach one that a person let in again meanwhile', async () => {
    const denied = () => ({ ok: false, error: { code: 'UNAVAILABLE', message: 'not now' } });
    const removals = ['node.pair.remove', 'device.pair.remove'].map((one) => [one, fake.answers.get(one)!] as const);
    for (const [method] of removals) fake.answers.set(method, denied);
    const full = vi.spyOn(store, 'commit').mockRejectedValue(new FederationError('STORE_FAILED', 'the disk is full'));
    await expect(nodes.revoke(DEVICE, 'kim')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    full.mockRestore();
    clock += 1;
    openclaw.offers(DEVICE, [...COMMANDS, 'file.fetch']);
    await approve(await waiting('surface'));
    for (const [method, answer] of removals) fake.answers.set(method, answer);
    const asked = fake.frames.length;
    openclaw.asks(OTHER, { displayName: 'tablet' });
    await approve(await waiting('device', OTHER));
    await untilState('half-approved', OTHER);
    expect(fake.frames.slice(asked).filter((frame) => frame.includes('pair.remove'))).toEqual([]);
    expect(stateOf()).toBe('connected');
  });

  test('of one that is not there is none', async () => {
    await expect(nodes.revoke(OTHER, 'kim')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  });
});

describe('a member’s own node host', () => {
  const member = aMember({ openclaw: { deviceId: DEVICE, removing: false }, grantedCommands: COMMANDS });

  beforeEach(async () => {
    await membership.commit([{ type: 'changed', member }], []);
    openclaw.approves(openclaw.asks(DEVICE));
  });

  test('is not among them', async () => {
    await until('the gateway lists it', () => gateway.nodes().has(DEVICE));
    expect(nodes.list()).toEqual([]);
    await expect(nodes.revoke(DEVICE, 'kim')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  });

  test('is revoked with the member: its key is held, also when the gateway has removed it and the hub starts again', async () => {
    const change = (changed: Member) =>
      membership.inTurn(() => membership.commit([{ type: 'changed', member: changed }], []));
    await change({ ...member, revokedAt: clock });
    fake.answers.get('device.pair.remove')!({ deviceId: DEVICE });
    await change({ ...member, revokedAt: clock, openclaw: null });
    openclaw.asks(DEVICE, { displayName: 'web-9' });
    expect((await waiting('device')).held).toBe('it was revoked');
    await restartHub();
    expect((await waiting('device')).held).toBe('it was revoked');
  });

  test('that was on the machine of a revoked member is held under any key', async () => {
    const { machine: laptop } = machine('nLaptop') as { machine: TailnetMachine };
    machines.set('100.64.0.9', machine('nLaptop'));
    const revoked = { ...member, revokedAt: clock, tailnet: laptop, openclaw: null };
    await membership.commit([{ type: 'changed', member: revoked }], []);
    openclaw.asks(OTHER, { displayName: 'web-9', remoteIp: '100.64.0.9' });
    const { held } = await waiting('device', OTHER);
    expect(held).toBe('its machine was the node home-server, which was revoked');
  });

  test('gets the commands that the member was granted without a further word', async () => {
    openclaw.offers(DEVICE, COMMANDS);
    await until('it has them', () => openclaw.paired.get(DEVICE)?.surface?.length === 2);
  });

  test('is held under the member’s name where it offers more, and a person may approve it', async () => {
    openclaw.offers(DEVICE, [...COMMANDS, 'file.fetch']);
    const asked = await waiting('surface');
    expect(asked).toMatchObject({
      request: { name: 'home-server' },
      held: 'it is home-server’s node host, which offers more than before',
    });
    expect(await approve(asked)).toMatchObject({ id: member.id, name: 'home-server', role: 'worker' });
    expect(openclaw.paired.get(DEVICE)?.surface).toContain('file.fetch');
    expect(await store.openclawNodes()).toEqual([]);
  });

  test('has the further commands that a person approved also where the gateway and the hub go away meanwhile', async () => {
    const more = [...COMMANDS, 'file.fetch'];
    openclaw.offers(DEVICE, more);
    const asked = await waiting('surface');
    const back = failing('node.pair.list');
    await expect(approve(asked)).resolves.toMatchObject({ id: member.id });
    expect(openclaw.paired.get(DEVICE)?.surface).toBeNull();
    expect(nodes.requests()).toEqual([]);
    await closeHub();
    back();
    await openHub();
    await until('it has them', () => openclaw.paired.get(DEVICE)?.surface?.length === 3);
    expect(membership.state().members.get(member.id)?.grantedCommands).toEqual(more);
    expect(await audit()).toEqual([['node.approve', 'kim', 'surface']]);
  });

  test.each([
    ['some', COMMANDS],
    ['those that it had when nobody was asked', null],
  ])(
    'that was granted %s commands has no more where the gateway refuses what a person approved',
    async (_what, had) => {
      await membership.commit([{ type: 'changed', member: { ...member, grantedCommands: had } }], []);
      openclaw.offers(DEVICE, [...COMMANDS, 'file.fetch']);
      const asked = await waiting('surface');
      const error = { code: 'FORBIDDEN', message: 'missing scope: operator.admin' };
      fake.answers.set('node.pair.approve', () => ({ ok: false, error }));
      await expect(approve(asked)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
      expect(membership.state().members.get(member.id)?.grantedCommands).toEqual(had);
      expect(await audit()).toEqual([
        ['node.approve', 'kim', 'surface'],
        ['node.revoke', 'gateway', 'surface'],
      ]);
      await waiting('surface');
    },
  );

  test('that asks as a device again is not let in by a word that the gateway does not hear', async () => {
    fake.answers.get('device.pair.remove')!({ deviceId: DEVICE });
    openclaw.asks(DEVICE);
    const asked = await waiting('device');
    const back = failing('device.pair.list');
    await expect(approve(asked)).rejects.toMatchObject({ code: 'GATEWAY_UNREACHABLE' });
    back();
    await waiting('device');
    expect(openclaw.paired.size).toBe(0);
    expect(await audit()).toEqual([
      ['node.approve', 'kim', 'device'],
      ['node.revoke', 'gateway', 'device'],
    ]);
  });
});

test('one that was taken out at the gateway itself is forgotten, and has to be approved anew', async () => {
  openclaw.asks(DEVICE);
  await approve(await waiting('device'));
  await untilState('half-approved');
  fake.answers.get('device.pair.remove')!({ deviceId: DEVICE });
  fake.announce('presence');
  await untilState('unknown');
  clock += 11 * MINUTE;
  fake.announce('presence');
  openclaw.asks(OTHER);
  await untilState(undefined);
  openclaw.asks(DEVICE);
  expect((await waiting('device')).held).toBeNull();
});

test('without a gateway there is nothing, and nothing to wait for', async () => {
  const { signal } = stopping;
  const identify = async (): Promise<Identity> => ({ kind: 'unasked' });
  const none = await openOpenClawNodes({
    ...{ gateway: null, store, membership, identify, isLockedDown: () => false },
    ...{ log: SILENT_LOG, signal },
  });
  expect([none.requests(), none.list()]).toEqual([[], []]);
  await expect(none.revoke(DEVICE, 'kim')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
  await none.done;
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import type { GatewayRequest } from '#src/adapters/openclaw/gateway-request.ts';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import type { Store } from '#src/adapters/store/store.ts';
import { revoke } from '#src/core/admission.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { PairingRequest } from '#src/core/pairing.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { openMembership } from '#src/hub/enrolment/membership.ts';
import type { Pruning } from '#src/hub/enrolment/prune.ts';
import { createPruning } from '#src/hub/enrolment/prune.ts';
import type { NodeState } from '#src/protocol/hub-api/node.ts';
import { aDeviceRequest, aGatewayNode } from '../support/at-gateway.ts';
import { SILENT_LOG, aMember } from '../support/member.ts';

const DAY = 86_400_000;
const NOW = 100 * DAY;
const OLD = NOW - 40 * DAY;

let folder: string;
let store: Store;
let membership: MembershipKeeper;
let pruning: Pruning;
let states: Map<string, NodeState>;
let devices: Map<string, GatewayNode>;
let asking: GatewayRequest[];
let known: Set<string>;
let removed: string[];
let failure: Error | null;
let connected: boolean;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocf-prune-'));
  [states, devices, asking, known, removed, failure, connected] = [new Map(), new Map(), [], new Set(), [], null, true];
  await open();
});

afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

async function open(): Promise<void> {
  store = openSqliteStore(join(folder, 'hub.sqlite'));
  membership = await openMembership({ store, log: SILENT_LOG, now: () => NOW });
  const fleet = {
    state: ({ id, revokedAt }: Member) => (revokedAt === null ? (states.get(id) ?? 'offline') : 'revoked'),
  } as Fleet;
  const gateway = {
    status: () => ({
      state: connected ? 'connected' : 'disconnected',
      url: '',
      version: null,
      problem: connected ? null : 'away',
    }),
    nodes: () => devices,
    requests: () => asking,
    async removeDevice(deviceId: string) {
      if (failure !== null) throw failure;
      devices.delete(deviceId);
      removed.push(deviceId);
    },
  } as unknown as Gateway;
  pruning = createPruning({
    ...{ membership, fleet, gateway, log: SILENT_LOG },
    isKnown: (deviceId) => known.has(deviceId),
    revocation: {
      async revoke(id) {
        await membership.inTurn(() => membership.commit([revoke(membership.state().members.get(id)!, NOW)], []));
        return id;
      },
    },
  });
}

async function have(changed: Partial<Member> & { readonly name: string }): Promise<Member> {
  const member = aMember({ id: changed.name.padEnd(64, '0'), lastSeenAt: OLD, ...changed });
  await membership.inTurn(() => membership.commit([{ type: 'changed', member }], []));
  return member;
}

const names = () => pruning.ghosts(30 * DAY).map(({ name, kind }) => `${kind} ${name}`);
const device = (id: string, changed: Partial<GatewayNode> = {}) =>
  devices.set(id, aGatewayNode({ connected: false, displayName: id, lastSeenAt: OLD, ...changed }));

test('a member that nobody saw for long is one, and each that is there, in doubt, the master’s or asks is none', async () => {
  await have({ name: 'gone' });
  await have({ name: 'seen-lately', lastSeenAt: NOW - 29 * DAY });
  await have({ name: 'master', role: 'master' });
  for (const state of ['online', 'suspect', 'quarantined'] as const) {
    states.set((await have({ name: state })).id, state);
  }
  const { id } = await have({ name: 'asks' });
  const request = { nodeId: id, facts: aMember().facts, tailnet: null, token: null } as unknown as PairingRequest;
  await membership.inTurn(() => membership.commit([{ type: 'asked', request }], []));
  expect(names()).toEqual(['member gone']);
});

test('of those that were revoked each is one whose device is gone', async () => {
  await have({ name: 'plain', revokedAt: NOW });
  await have({ name: 'with-device', revokedAt: NOW, openclaw: { deviceId: 'd', removing: true } });
  await have({ name: 'asks-again', revokedAt: NOW });
  const request = {
    nodeId: 'asks-again'.padEnd(64, '0'),
    facts: aMember().facts,
    token: null,
  } as unknown as PairingRequest;
  await membership.inTurn(() => membership.commit([{ type: 'asked', request }], []));
  expect(names()).toEqual(['revoked plain']);
});

test('a device is one that is nobody’s, away, and was not seen for long', async () => {
  await have({ name: 'home', lastSeenAt: NOW, openclaw: { deviceId: 'of-member', removing: false } });
  await have({ name: 'former', revokedAt: NOW, openclaw: { deviceId: 'of-former', removing: true } });
  known.add('of-ours');
  asking = [aDeviceRequest({ deviceId: 'asks' })];
  for (const id of ['ghost', 'of-member', 'of-former', 'of-ours', 'asks']) device(id);
  device('there', { connected: true });
  device('seen-lately', { lastSeenAt: NOW - DAY });
  device('never-seen', { lastSeenAt: null });
  device('offers-more', { pendingRequestId: 'r' });
  expect(names()).toEqual(['device ghost']);
});

test('a hostile name of a device is one line without control characters', () => {
  device('ghost', { displayName: '\u001b[2Jghost\nroot' });
  const [ghost] = pruning.ghosts(30 * DAY);
  expect(ghost?.name).not.toMatch(/\p{Cc}/u);
});

test('what is pruned is out of the list and audited, its key stays barred, and that outlives the hub', async () => {
  const { id } = await have({ name: 'gone', openclaw: { deviceId: 'd'.repeat(64), removing: false } });
  await have({ name: 'plain', revokedAt: NOW });
  device('ghost');
  expect(await pruning.prune(30 * DAY, null, 'ann')).toEqual([
    expect.objectContaining({ kind: 'member', name: 'gone', problem: null }),
    expect.objectContaining({ kind: 'revoked', name: 'plain', problem: null }),
    expect.objectContaining({ kind: 'device', name: 'ghost', problem: null }),
  ]);
  expect(removed).toEqual(['ghost']);
  const audit = await store.audit(0, 100);
  expect(audit.map(({ action, by, detail }) => [action, by, detail['node']])).toEqual([
    ['node.prune', 'ann', 'gone'],
    ['node.prune', 'ann', 'plain'],
    ['node.prune', 'ann', 'ghost'],
  ]);
  await store.close();
  await open();
  expect(names()).toEqual([]);
  expect(membership.state().members.get(id)).toMatchObject({
    ...{ revokedAt: NOW, pruned: true },
    openclaw: { deviceId: 'd'.repeat(64), removing: true },
  });
});

test('nothing goes that was not shown, and nothing that came back meanwhile', async () => {
  const shown = await have({ name: 'shown' });
  const back = await have({ name: 'back' });
  await have({ name: 'not-shown' });
  states.set(back.id, 'online');
  const pruned = await pruning.prune(30 * DAY, [shown.id, back.id], 'ann');
  expect(pruned.map(({ name }) => name)).toEqual(['shown']);
  expect(membership.state().members.get(back.id)).toMatchObject({ revokedAt: null, pruned: false });
});

test('what can’t be taken away is said, and does not keep the others', async () => {
  device('ghost');
  await have({ name: 'plain', revokedAt: NOW });
  failure = new FederationError('GATEWAY_UNREACHABLE', 'not now');
  const pruned = await pruning.prune(30 * DAY, null, 'ann');
  expect(pruned.map(({ name, problem }) => [name, problem])).toEqual(
    expect.arrayContaining([
      ['ghost', 'not now'],
      ['plain', null],
    ]),
  );
  expect(names()).toEqual(['device ghost']);
});

test('what fails in a way that nobody foresaw does not hide what became of the others', async () => {
  await have({ name: 'first', revokedAt: NOW });
  device('ghost');
  await have({ name: 'last', revokedAt: NOW });
  failure = new TypeError('the secret is hunter2');
  const pruned = await pruning.prune(30 * DAY, null, 'ann');
  expect(new Map(pruned.map(({ name, problem }) => [name, problem]))).toEqual(
    new Map([
      ['first', null],
      ['last', null],
      ['ghost', 'it failed; the hub’s log says why'],
    ]),
  );
  expect(names()).toEqual(['device ghost']);
});

test('a gateway that is away is told apart from one without ghosts', () => {
  expect(pruning.unasked()).toBeNull();
  connected = false;
  expect(pruning.unasked()).toBe('away');
});

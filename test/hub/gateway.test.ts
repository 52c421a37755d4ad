import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Gateway, GatewayStatus } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { createGatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { GatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { NodeHostState } from '#src/protocol/hub-api/node.ts';
import { aGatewayNode } from '../support/at-gateway.ts';
import { until } from '../support/link.ts';
import { SILENT_LOG, aMember } from '../support/member.ts';

const DEVICE = 'd'.repeat(64);
const PAIRED = { deviceId: DEVICE, removing: false };

let state: GatewayStatus['state'];
let nodes: Map<string, GatewayNode>;
let listeners: Set<() => void>;
let removed: string[];
/** Devices that the audit says were put out. */
let putOut: string[];
/** The device that used the setup code. */
let user: string | null;
/** How many removals the gateway fails before it confirms one. */
let failing: number;
let member: Member;
const other = aMember({ id: 'b'.repeat(64) });
/** Whether the federation is locked down. */
let shut: boolean;
let stopping: AbortController;
let desk: GatewayDesk;

const gateway: Gateway = {
  status: () => ({ state, url: 'ws://127.0.0.1:1', version: null, problem: null }),
  nodes: () => nodes,
  requests: () => [],
  onChange(listener) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  mintSetupCode: async (port) => ({ setupCode: `code for ${port}`, setupId: 's1', expiresAt: Date.now() + 60_000 }),
  setupCodeUser: async () => user,
  async removeDevice(deviceId) {
    if (failing-- > 0) throw new FederationError('GATEWAY_UNREACHABLE', 'not now');
    removed.push(deviceId);
  },
  approveDevice: () => Promise.reject(new Error('not here')),
  approveSurface: () => Promise.reject(new Error('not here')),
  rejectDevice: () => Promise.reject(new Error('not here')),
  rejectSurface: () => Promise.reject(new Error('not here')),
  renameNode: () => Promise.reject(new Error('not here')),
  invoke: () => Promise.reject(new Error('not here')),
  close: () => Promise.resolve(),
};

beforeEach(() => {
  state = 'connected';
  nodes = new Map();
  listeners = new Set();
  removed = [];
  putOut = [];
  user = null;
  failing = 0;
  shut = false;
  member = aMember();
  stopping = new AbortController();
  desk = open(gateway);
});

afterEach(async () => {
  stopping.abort();
  await desk.done;
});

function open(asked: Gateway | null, greetMs = 50): GatewayDesk {
  return createGatewayDesk({
    gateway: asked,
    members: () => [member, other],
    change: async (nodeId, change, out) => {
      if (nodeId === member.id) member = { ...member, ...change(member) };
      if (out !== undefined) putOut.push(out.deviceId);
    },
    isShut: () => shut,
    greetMs,
    log: SILENT_LOG,
    signal: stopping.signal,
  });
}

const here = aGatewayNode();

test.each<[NodeHostState, string, () => void]>([
  [
    'none',
    'a member that runs no node host',
    () => void (member = aMember({ facts: { ...member.facts, offers: [] } })),
  ],
  ['unknown', 'a gateway that is not connected', () => void (state = 'disconnected')],
  ['unpaired', 'a member without a device', () => nodes.set(DEVICE, here)],
  ['unpaired', 'a device that the gateway does not list', () => void (member = aMember({ openclaw: PAIRED }))],
  [
    'unpaired',
    'a device that is to go',
    () => {
      member = aMember({ openclaw: { deviceId: DEVICE, removing: true } });
      nodes.set(DEVICE, here);
    },
  ],
  [
    'disconnected',
    'a device that the gateway lists as away',
    () => {
      member = aMember({ openclaw: PAIRED });
      nodes.set(DEVICE, { ...here, connected: false });
    },
  ],
  [
    'connected',
    'a device that the gateway lists as there',
    () => {
      member = aMember({ openclaw: PAIRED });
      nodes.set(DEVICE, here);
    },
  ],
])('the node host is %s for %s', (expected, _what, given) => {
  given();
  expect(desk.nodeHostState(member)).toBe(expected);
});

test('without a gateway every node host is unknown and no code is given out', async () => {
  const bare = open(null);
  expect(bare.status()).toBeNull();
  expect(bare.nodeHostState(member)).toBe('unknown');
  expect(bare.commands(member)).toEqual([]);
  await expect(bare.setupCode(member, 1)).rejects.toMatchObject({ code: 'GATEWAY_UNREACHABLE' });
});

test('the commands are those that the gateway lists', () => {
  member = aMember({ openclaw: PAIRED });
  nodes.set(DEVICE, here);
  expect(desk.commands(member)).toEqual(['system.which']);
});

test('a member gets one code at a time, and others meanwhile', async () => {
  expect((await desk.setupCode(member, 19_002)).setupCode).toBe('code for 19002');
  await expect(desk.setupCode(member, 19_002)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(desk.setupCode(other, 19_002)).resolves.toBeDefined();
});

test('who offers no node host or was revoked gets no code', async () => {
  const plain = aMember({ facts: { ...member.facts, offers: ['exec'] } });
  await expect(desk.setupCode(plain, 1)).rejects.toMatchObject({ code: 'FORBIDDEN' });
  await expect(desk.setupCode(aMember({ revokedAt: 1 }), 1)).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test.each<[string, string, () => void]>([
  ['FORBIDDEN', 'is revoked', () => void (member = { ...member, revokedAt: 1 })],
  ['LOCKED_DOWN', 'is locked down with all others', () => void (shut = true)],
])('%s: a member that %s while the gateway mints is told no code', async (code, _what, happens) => {
  const asked = desk.setupCode(member, 1);
  happens();
  await expect(asked).rejects.toMatchObject({ code });
});

test('a device that is to go is asked away until the gateway confirms it', async () => {
  failing = 1;
  member = aMember({ revokedAt: 1, openclaw: { deviceId: DEVICE, removing: true } });
  desk.sweep();
  await until('the device is gone', () => member.openclaw === null);
  expect(removed).toEqual([DEVICE]);
});

test('while the gateway is away nothing is asked, and all of it when it is back', async () => {
  state = 'disconnected';
  member = aMember({ revokedAt: 1, openclaw: { deviceId: DEVICE, removing: true } });
  desk.sweep();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(removed).toEqual([]);
  state = 'connected';
  for (const listener of listeners) listener();
  await until('the device is gone', () => member.openclaw === null);
});

test('a device that joined is the member’s, and the one before it goes', async () => {
  await desk.joined(member, DEVICE);
  expect(member.openclaw).toEqual(PAIRED);
  await desk.joined(member, 'e'.repeat(64));
  expect(member.openclaw?.deviceId).toBe('e'.repeat(64));
  await until('the first is removed', () => removed.includes(DEVICE));
  expect(removed).toEqual([DEVICE]);
});

test('a device that joined while its member was revoked goes again', async () => {
  member = aMember({ revokedAt: 1 });
  await desk.joined(member, DEVICE);
  await until('it is removed', () => removed.includes(DEVICE));
  await until('it is forgotten', () => member.openclaw === null);
  expect(removed).toEqual([DEVICE]);
});

test('a device that used a member’s code and did not come through its carrier goes', async () => {
  await desk.setupCode(member, 1);
  user = DEVICE;
  desk.sweep();
  await until('it is removed and forgotten', () => removed.includes(DEVICE) && member.leaving.length === 0);
  expect({ putOut, codes: member.setupCodes, openclaw: member.openclaw }).toEqual({
    putOut: [DEVICE],
    codes: [],
    openclaw: null,
  });
});

test('a device that used a member’s code and came through its carrier stays', async () => {
  await desk.setupCode(member, 1);
  user = DEVICE;
  desk.sweep();
  await desk.joined(member, DEVICE);
  await until('its code is forgotten', () => member.setupCodes.length === 0);
  expect({ putOut, removed, openclaw: member.openclaw }).toEqual({ putOut: [], removed: [], openclaw: PAIRED });
});

test.each<[string, () => void]>([
  ['its member was revoked', () => void (member = { ...member, revokedAt: 1 })],
  ['the federation was locked down', () => void (shut = true)],
])('a code from before is no good after %s', async (_what, happens) => {
  desk = open(gateway, 3_600_000);
  await desk.setupCode(member, 1);
  happens();
  user = DEVICE;
  desk.sweep();
  await until('it is removed', () => removed.includes(DEVICE));
  expect(putOut).toEqual([DEVICE]);
});

test('a code and a device that was replaced are taken up again after a restart', async () => {
  failing = 1;
  await desk.setupCode(member, 1);
  await desk.joined(member, DEVICE);
  await desk.joined(member, 'e'.repeat(64));
  expect(member.leaving).toEqual([DEVICE]);
  stopping.abort();
  await desk.done;
  stopping = new AbortController();
  failing = 0;
  user = 'f'.repeat(64);
  desk = open(gateway);
  await until('both are removed', () => removed.length === 2);
  expect(removed.toSorted()).toEqual([DEVICE, user]);
});

import { beforeEach, expect, test } from 'vitest';
import type { Gateway, GatewayStatus } from '#src/adapters/openclaw/gateway.ts';
import type { GatewayNode } from '#src/adapters/openclaw/gateway-node.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { createReadinesses } from '#src/hub/enrolment/readiness.ts';
import type { Readinesses } from '#src/hub/enrolment/readiness.ts';
import type { NodeState } from '#src/protocol/hub-api/node.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import { aGatewayNode, DEVICE } from '../support/at-gateway.ts';
import { aMember } from '../support/member.ts';

const PAIRED = { deviceId: DEVICE, removing: false };
const MAC: OpenClawNodeView = {
  ...{ id: DEVICE, name: 'mac', fingerprint: 'dddd-dddd-dddd-dddd', state: 'disconnected', platform: 'darwin' },
  ...{ version: null, commands: [], approvedBy: 'sam', lastSeenAt: null },
};

let member: Member;
let others: OpenClawNodeView[];
let state: NodeState;
let doubt: string | null;
let standing: GatewayStatus['state'];
let nodes: Map<string, GatewayNode>;
let listeners: Set<() => void>;
let stopping: AbortController;
/** What is asked of the node hosts, and why they do not answer. */
let invoked: string[];
let silence: string | null;

const gateway: Gateway = {
  status: () => ({ state: standing, url: 'ws://127.0.0.1:1', version: null, problem: 'it restarts' }),
  nodes: () => nodes,
  requests: () => [],
  onChange(listener) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  async invoke(deviceId, command, params) {
    invoked.push(`${deviceId.slice(0, 1)} ${command} ${JSON.stringify(params)}`);
    if (silence !== null) throw new FederationError('OPENCLAW_REFUSED', silence);
    return {};
  },
  mintSetupCode: () => Promise.reject(new Error('not here')),
  setupCodeUser: () => Promise.reject(new Error('not here')),
  approveDevice: () => Promise.reject(new Error('not here')),
  approveSurface: () => Promise.reject(new Error('not here')),
  rejectDevice: () => Promise.reject(new Error('not here')),
  rejectSurface: () => Promise.reject(new Error('not here')),
  removeDevice: () => Promise.reject(new Error('not here')),
  renameNode: () => Promise.reject(new Error('not here')),
  close: () => Promise.resolve(),
};

beforeEach(() => {
  member = aMember({ openclaw: PAIRED });
  others = [];
  state = 'online';
  doubt = null;
  standing = 'connected';
  nodes = new Map([[DEVICE, aGatewayNode()]]);
  listeners = new Set();
  stopping = new AbortController();
  invoked = [];
  silence = null;
});

function open(asked: Gateway | null = gateway): Readinesses {
  return createReadinesses({
    members: () => [member],
    waiting: () => [],
    openClawNodes: () => others,
    fleet: { state: (one) => (one.revokedAt === null ? state : 'revoked') },
    quarantine: () => doubt,
    gateway: asked,
    signal: stopping.signal,
  });
}

/** The steps up to the one that all wait for, and what it waits for. */
async function standingOf(word: string, asked: Gateway | null = gateway): Promise<string[]> {
  const { usable, steps } = await open(asked).of(word);
  const first = steps.find(({ done }) => !done);
  expect(usable).toBe(first === undefined);
  const past = steps.slice(0, first === undefined ? undefined : steps.indexOf(first)).map(({ step }) => step);
  return first === undefined ? past : [...past, `${first.step}: ${first.waitsFor}`, first.run ?? 'nothing to run'];
}

test('a member with link, node host and commands that answer is usable', async () => {
  expect(await standingOf('home-server')).toEqual(['admitted', 'linked', 'node-host', 'commands']);
  expect(invoked).toEqual(['d system.which {"bins":["sh"]}']);
});

test('a member without a node host, or without a gateway, needs its link alone', async () => {
  expect(await standingOf('home-server', null)).toEqual(['admitted', 'linked']);
  member = aMember({ facts: { ...member.facts, offers: ['exec'] } });
  expect(await standingOf('home-server')).toEqual(['admitted', 'linked']);
  expect(invoked).toEqual([]);
});

const DOCTOR = 'on home-server: deploy-federation doctor';
const DAEMON = 'on home-server: is its worker daemon running? systemctl status openclaw-worker, or federation-worker';
const STATUS = 'on the master: manage-federation status';

test.each<[string, () => void, string, string]>([
  ['away', () => void (state = 'offline'), 'linked: its worker daemon to connect', DAEMON],
  ['silent', () => void (state = 'suspect'), 'linked: a sign of life on its link', DAEMON],
  [
    'in doubt',
    () => void ([state, doubt] = ['quarantined', 'its machine asks with another key']),
    'linked: a decision on its identity: its machine asks with another key',
    'on the master: manage-federation pending',
  ],
  [
    'without a device',
    () => void (member = aMember({ openclaw: null })),
    'node-host: its node host to join OpenClaw',
    DOCTOR,
  ],
  [
    'with a device that is to go',
    () => void (member = aMember({ openclaw: { ...PAIRED, removing: true } })),
    'node-host: its node host to join OpenClaw',
    DOCTOR,
  ],
  [
    'with a node host that is away',
    () => nodes.set(DEVICE, aGatewayNode({ connected: false })),
    'node-host: its node host to connect to OpenClaw',
    DOCTOR,
  ],
  [
    'behind a gateway that is away',
    () => {
      standing = 'disconnected';
      nodes.clear();
    },
    'node-host: the OpenClaw gateway: it restarts',
    STATUS,
  ],
  [
    'without a command',
    () => nodes.set(DEVICE, aGatewayNode({ commands: [] })),
    'commands: OpenClaw to list its commands',
    DOCTOR,
  ],
  [
    'with commands that wait',
    () => nodes.set(DEVICE, aGatewayNode({ commands: [], approvalState: 'pending-approval' })),
    'commands: OpenClaw to list its commands',
    'on the master: manage-federation approve home-server',
  ],
  [
    'with commands that do not answer',
    () => void (silence = 'node host timed out'),
    'commands: an answer of its commands: node host timed out',
    DOCTOR,
  ],
])('a member %s waits for that, and what to run is said', async (_what, given, waitsFor, run) => {
  given();
  const seen = await standingOf('home-server');
  expect(seen.slice(-2)).toEqual([waitsFor, run]);
});

test('a member is also found by its device and its fingerprint, and one that was revoked is said to be', async () => {
  expect((await open().of(DEVICE)).id).toBe(member.id);
  expect((await open().of('aaaa-aaaa-aaaa-aaaa')).id).toBe(member.id);
  member = aMember({ revokedAt: 1 });
  await expect(open().of('home-server')).rejects.toMatchObject({
    code: 'NODE_NOT_FOUND',
    message: 'home-server was revoked',
  });
  await expect(open().of('nobody')).rejects.toMatchObject({ code: 'NODE_NOT_FOUND' });
});

test.each<[Partial<GatewayNode> | null, string[]]>([
  [null, ['device: the gateway to know its device', 'on mac: restart openclaw node run, which asks again']],
  [
    { connected: false, approvalState: 'unapproved', commands: [] },
    [
      'device',
      'reconnected: it to connect again',
      'on mac: restart openclaw node run, which gives up once it was refused',
    ],
  ],
  [
    { approvalState: 'unapproved', commands: [] },
    ['device', 'reconnected', 'surface: it to say which commands it offers', 'nothing to run'],
  ],
  [
    { approvalState: 'pending-approval', commands: [] },
    [
      ...['device', 'reconnected', 'surface: an approval of its commands'],
      'on the master: manage-federation approve mac',
    ],
  ],
  [{}, ['device', 'reconnected', 'surface', 'commands']],
])('OpenClaw’s own node that the gateway lists as %j', async (listed, expected) => {
  others = [MAC];
  member = aMember();
  nodes = listed === null ? new Map() : new Map([[DEVICE, aGatewayNode(listed)]]);
  expect(await standingOf('mac')).toEqual(expected);
});

test('an app is opened where a node host is restarted, and what it offers is not tried where that would do something', async () => {
  member = aMember();
  others = [{ ...MAC, name: "Sam's phone", platform: 'iOS 26.1' }];
  nodes = new Map([[DEVICE, aGatewayNode({ connected: false, approvalState: 'unapproved', commands: [] })]]);
  expect(await standingOf("Sam's phone")).toContain("on Sam's phone: open OpenClaw");
  nodes = new Map([[DEVICE, aGatewayNode({ approvalState: 'pending-approval', commands: [] })]]);
  expect(await standingOf("Sam's phone")).toContain(
    String.raw`on the master: manage-federation approve 'Sam'\''s phone'`,
  );
  nodes = new Map([[DEVICE, aGatewayNode({ commands: ['camera.snap'] })]]);
  expect(await standingOf("Sam's phone")).toEqual(['device', 'reconnected', 'surface', 'commands']);
  expect(invoked).toEqual([]);
});

test('of a gateway that is away nothing is claimed, and of what goes that it goes', async () => {
  member = aMember();
  others = [MAC];
  standing = 'disconnected';
  expect(await standingOf('mac')).toEqual(['device: the OpenClaw gateway: it restarts', STATUS]);
  standing = 'connected';
  others = [{ ...MAC, state: 'removing' }];
  expect((await standingOf('mac'))[0]).toMatch(/^device: nothing: it was revoked/);
});

test('commands are tried once for each connection, by however many at once, and again after a failure', async () => {
  const readinesses = open();
  const asks = () => readinesses.of('home-server');
  silence = 'not now';
  expect((await asks()).usable).toBe(false);
  silence = null;
  expect((await Promise.all([asks(), asks()])).map(({ usable }) => usable)).toEqual([true, true]);
  expect(invoked).toHaveLength(2);
  nodes.set(DEVICE, aGatewayNode({ connected: false }));
  for (const listener of listeners) listener();
  nodes.set(DEVICE, aGatewayNode());
  for (const listener of listeners) listener();
  expect((await asks()).usable).toBe(true);
  expect(invoked).toHaveLength(3);
});

test('a hub that stops leaves nothing that listens to the gateway', () => {
  open();
  expect(listeners.size).toBe(1);
  stopping.abort();
  expect(listeners.size).toBe(0);
});

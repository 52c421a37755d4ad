import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { until } from '../support/link.ts';

const DEVICE = 'd'.repeat(64);
const TOKEN = 'a-very-secret-token';

let fake: FakeGateway;
let gateway: Gateway;
let listed: object[];
let lines: string[];

beforeEach(async () => {
  fake = await fakeGateway();
  listed = [];
  lines = [];
  fake.answers.set('node.list', () => ({ ok: true, payload: { ts: 1, nodes: listed } }));
  gateway = open(fake.url);
});

afterEach(async () => {
  await gateway.close();
  await fake.close();
});

function open(url: string, trusts = (uid: number | null): boolean => uid === process.getuid?.()): Gateway {
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
  return connectGateway({ url, token: () => TOKEN, trusts, log, signal: new AbortController().signal });
}

async function connected(): Promise<void> {
  await until('it is connected', () => gateway.status().state === 'connected');
}

test('it connects as an operator of protocol 4 with no more scopes than it needs', async () => {
  await connected();
  expect(JSON.parse(fake.frames[0] ?? '')).toMatchObject({
    method: 'connect',
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: 'gateway-client', mode: 'backend' },
      role: 'operator',
      scopes: ['operator.read', 'operator.pairing', 'operator.admin'],
      auth: { token: TOKEN },
    },
  });
  expect(gateway.status()).toEqual({ state: 'connected', url: fake.url, version: '2026.9.6', problem: null });
});

test('a program of another user that took its port is told no token', async () => {
  const taken = await fakeGateway();
  const deceived = open(taken.url, (uid) => uid === 4242);
  await until('it is refused', () => deceived.status().problem?.includes('another user') === true);
  await deceived.close();
  await taken.close();
  expect(taken.frames).toEqual([]);
});

test('who used a setup code is asked of the gateway, and its use is told where nothing else changes', async () => {
  await connected();
  const used = new Map<unknown, object>([
    ['done', { completion: { deviceId: DEVICE } }],
    ['unsure', { deliveryUncertain: { deviceId: DEVICE } }],
  ]);
  fake.answers.set('device.pair.setupStatus', ({ setupId }) => ({ ok: true, payload: used.get(setupId) ?? {} }));
  const users = await Promise.all(['done', 'unsure', 'open'].map((setupId) => gateway.setupCodeUser(setupId)));
  expect(users).toEqual([DEVICE, DEVICE, null]);
  let changes = 0;
  const forget = gateway.onChange(() => void changes++);
  fake.announce('device.pair.setup.completed');
  await until('it is told', () => changes > 0);
  forget();
});

test('a change at the gateway is seen when the gateway announces it', async () => {
  await connected();
  let changes = 0;
  const forget = gateway.onChange(() => void changes++);
  listed = [{ nodeId: DEVICE, connected: true, commands: ['system.which'], approvalState: 'approved', caps: [] }];
  fake.announce('presence');
  await until('the node is seen', () => gateway.nodes().has(DEVICE));
  expect(gateway.nodes().get(DEVICE)).toEqual({
    connected: true,
    commands: ['system.which'],
    approvalState: 'approved',
    displayName: null,
    platform: null,
    version: null,
    remoteIp: null,
    paired: false,
    pendingRequestId: null,
    lastSeenAt: null,
  });
  expect(changes).toBe(1);
  forget();
});

test('a connection that is lost shows, and comes back', async () => {
  listed = [{ nodeId: DEVICE, connected: true, commands: [] }];
  await connected();
  fake.sockets[0]?.close(1012, 'service restart');
  await until('the loss shows', () => gateway.status().state === 'disconnected');
  expect(gateway.nodes().size).toBe(0);
  expect(gateway.status().problem).toContain('1012');
  await expect(gateway.mintSetupCode(1)).rejects.toMatchObject({ code: 'GATEWAY_UNREACHABLE' });
  await connected();
  expect(gateway.nodes().has(DEVICE)).toBe(true);
});

test('a gateway that is still starting is tried again', async () => {
  await gateway.close();
  let refusals = 2;
  const greet = fake.answers.get('connect')!;
  fake.answers.set('connect', (params) => {
    if (refusals-- <= 0) return greet(params);
    const details = { reason: 'startup-sidecars' };
    return { ok: false, error: { code: 'UNAVAILABLE', message: 'gateway starting; retry shortly', details } };
  });
  gateway = open(fake.url);
  await connected();
  expect(refusals).toBeLessThan(0);
});

test('a gateway that refuses the token says why, and the token is in no log line', async () => {
  await gateway.close();
  fake.answers.set('connect', () => ({ ok: false, error: { code: 'AUTH', message: 'unauthorized: token mismatch' } }));
  gateway = open(fake.url);
  await until('the reason shows', () => gateway.status().problem?.includes('token mismatch') === true);
  expect(lines.join('')).not.toContain(TOKEN);
});

test('a code is minted for a node alone, at the loopback port of its carrier', async () => {
  await connected();
  fake.answers.set('device.pair.setupCode', (params) => {
    expect(params).toEqual({ bootstrapProfile: 'node', includeQr: false, publicUrl: 'ws://127.0.0.1:19002' });
    return { ok: true, payload: { setupId: '1', setupCode: 'c', expiresAtMs: 5, access: 'node' } };
  });
  expect(await gateway.mintSetupCode(19_002)).toEqual({ setupCode: 'c', setupId: '1', expiresAt: 5 });
});

test('a code that would give more than a node’s access is not passed on', async () => {
  await connected();
  const payload = { setupId: '1', setupCode: 'c', expiresAtMs: 5, access: 'full' };
  fake.answers.set('device.pair.setupCode', () => ({ ok: true, payload }));
  await expect(gateway.mintSetupCode(19_002)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
});

test.each<[string, string | Buffer]>([
  ['no JSON', 'hello'],
  ['a frame of no known type', '{"type":"cancel"}'],
  ['an answer to nothing', '{"type":"res","id":"77","ok":true,"payload":{}}'],
  ['an answer without a verdict', '{"type":"res","id":"2"}'],
  ['bytes', Buffer.from([0xff, 0xfe])],
  ['null', 'null'],
])('%s from the gateway is passed over', async (_what, frame) => {
  await connected();
  const socket = fake.sockets[0]!;
  socket.send(frame, { binary: typeof frame !== 'string' });
  listed = [{ nodeId: DEVICE }];
  fake.announce('node.pair.resolved');
  await until('it goes on', () => gateway.nodes().has(DEVICE));
  expect(fake.sockets).toHaveLength(1);
});

test('a list of nodes that is none is said and asked for again', async () => {
  await connected();
  fake.answers.set('node.list', () => ({ ok: true, payload: { nodes: 'many' } }));
  fake.announce('presence');
  await until('it shows', () => gateway.status().problem?.includes('strange answer to node.list') === true);
  fake.answers.set('node.list', () => ({ ok: true, payload: { nodes: [] } }));
  await connected();
  expect(gateway.status().problem).toBeNull();
});

test('a gateway that never greets is no connection, and closing does not wait for it', async () => {
  await gateway.close();
  fake.answers.delete('connect');
  const before = fake.frames.length;
  gateway = open(fake.url);
  await until('it was asked', () => fake.frames.length > before);
  expect(gateway.status().state).toBe('disconnected');
  await gateway.close();
  expect(gateway.status().state).toBe('disconnected');
});

test('nobody at the address shows as a problem', async () => {
  await gateway.close();
  await fake.close();
  gateway = open(fake.url);
  await until('the problem shows', () => gateway.status().problem?.includes('ECONNREFUSED') === true);
  expect(gateway.status().state).toBe('disconnected');
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import type { DeviceRequest, GatewayRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';
import { DEVICE } from '../support/at-gateway.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { fakePairing } from '../support/fake-pairing.ts';
import type { FakePairing } from '../support/fake-pairing.ts';
import { until } from '../support/link.ts';

const OTHER = 'e'.repeat(64);
const COMMANDS = ['system.run', 'system.which'];
const REFUSED = { code: 'OPENCLAW_REFUSED' };

let fake: FakeGateway;
let openclaw: FakePairing;
let gateway: Gateway;
let lines: string[];

beforeEach(async () => {
  fake = await fakeGateway();
  openclaw = fakePairing(fake);
  lines = [];
  const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
  const { signal } = new AbortController();
  gateway = connectGateway({ url: fake.url, token: () => 'secret', trusts: () => true, log, signal });
  await until('it is connected', () => gateway.status().state === 'connected');
});

afterEach(async () => {
  await gateway.close();
  await fake.close();
});

/** What the gateway is asked after this. */
function asked(): () => string[] {
  const from = fake.frames.length;
  return () => fake.frames.slice(from).map((frame) => (JSON.parse(frame) as { method: string }).method);
}

async function seen(requestId: string): Promise<GatewayRequest> {
  await until('the request is seen', () => gateway.requests().some((request) => request.requestId === requestId));
  return gateway.requests().find((request) => request.requestId === requestId)!;
}

async function device(said: Readonly<Record<string, unknown>> = {}): Promise<DeviceRequest> {
  const request = await seen(openclaw.asks(DEVICE, said));
  if (request.kind !== 'device') throw new Error(`a ${request.kind} request`);
  return request;
}

/** Of a device that is paired already. */
async function surface(commands: readonly string[] = COMMANDS): Promise<SurfaceRequest> {
  openclaw.approves(openclaw.asks(DEVICE));
  const request = await seen(openclaw.offers(DEVICE, commands)!);
  if (request.kind !== 'surface') throw new Error(`a ${request.kind} request`);
  return request;
}

describe('a request', () => {
  test('of a device shows who asks, from where, and until when', async () => {
    let changes = 0;
    gateway.onChange(() => void changes++);
    const askedAt = Date.now() - 60_000;
    const requestId = openclaw.asks(DEVICE, { remoteIp: '100.64.0.7', ts: askedAt });
    expect(await seen(requestId)).toEqual({
      kind: 'device',
      requestId,
      deviceId: DEVICE,
      publicKey: `key of ${DEVICE}`,
      operates: false,
      displayName: 'phone',
      platform: 'linux',
      deviceFamily: 'Linux',
      version: null,
      remoteIp: '100.64.0.7',
      commands: null,
      caps: [],
      isRepair: false,
      askedAt,
      expiresAt: askedAt + 300_000,
    });
    expect(changes).toBe(1);
  });

  test('of a device that is there after its five minutes has asked again, and nobody knows when', async () => {
    expect(await device({ ts: Date.now() - 300_001 })).toMatchObject({ expiresAt: null });
  });

  test('of a surface shows the commands that it offers, and waits', async () => {
    const request = await surface();
    expect(request).toEqual({
      kind: 'surface',
      requestId: request.requestId,
      deviceId: DEVICE,
      displayName: 'phone',
      platform: 'linux',
      deviceFamily: 'Linux',
      version: '2026.9.6',
      remoteIp: null,
      commands: COMMANDS,
      caps: ['system'],
      isRepair: false,
      askedAt: request.askedAt,
      expiresAt: null,
    });
    expect(gateway.nodes().get(DEVICE)).toMatchObject({
      approvalState: 'pending-approval',
      pendingRequestId: request.requestId,
      paired: true,
      commands: [],
    });
  });

  test('for more commands of a node that is approved is a repair', async () => {
    await gateway.approveSurface(await surface());
    expect(await seen(openclaw.offers(DEVICE, [...COMMANDS, 'file.fetch'])!)).toMatchObject({ isRepair: true });
    expect(gateway.nodes().get(DEVICE)).toMatchObject({ approvalState: 'pending-reapproval', commands: COMMANDS });
  });

  test('of a device that asked again while it was let in is none, and its connection is not taken from it', async () => {
    const request = await device();
    openclaw.approves(request.requestId);
    openclaw.offers(DEVICE, COMMANDS);
    // Its attempt was under way already, and is connected in the end.
    openclaw.asks(DEVICE);
    await seen(openclaw.asks(OTHER));
    expect(gateway.requests().map(({ kind, deviceId }) => [kind, deviceId])).toEqual([
      ['surface', DEVICE],
      ['device', OTHER],
    ]);
    await gateway.approveDevice(request);
    expect(openclaw.paired.get(DEVICE)?.connected).toBe(true);
  });

  test.each([
    ['on another platform', { platform: 'darwin' }],
    ['on a machine of another family', { deviceFamily: 'Mac' }],
    ['with another key', { publicKey: 'another' }],
    ['to operate OpenClaw too', { roles: ['node', 'operator'] }],
  ])('of a device that is paired and asks %s is listed as a repair', async (_what, said) => {
    openclaw.approves(openclaw.asks(DEVICE));
    expect(await device(said)).toMatchObject({ isRepair: true });
  });

  test('of a device whose token was revoked is a repair that can be approved', async () => {
    openclaw.approves(openclaw.asks(DEVICE));
    openclaw.paired.get(DEVICE)!.isTokenRevoked = true;
    const repair = await device();
    expect(repair.isRepair).toBe(true);
    await gateway.approveDevice(repair);
    expect(openclaw.paired.get(DEVICE)?.isTokenRevoked).toBe(false);
  });

  test('is not there while the gateway is not connected, and is found again afterwards', async () => {
    const before = await device();
    fake.sockets.at(-1)?.close(1012, 'service restart');
    await until('the loss shows', () => gateway.status().state === 'disconnected');
    expect(gateway.requests()).toEqual([]);
    await expect(gateway.approveDevice(before)).rejects.toMatchObject({ code: 'GATEWAY_UNREACHABLE' });
    const during = openclaw.asks(OTHER);
    await seen(during);
    expect(gateway.requests().map(({ requestId }) => requestId)).toEqual([before.requestId, during]);
  });

  test.each([
    ['a node first', { role: 'operator', roles: ['node', 'operator'], scopes: ['operator.read'] }],
    ['an operator first', { role: 'node', roles: ['operator', 'node'], scopes: ['operator.admin'] }],
    ['no scope', { roles: ['operator'] }],
  ])(
    'of one who wants to be a node and an operator, %s, is listed as one, and is never approved',
    async (_what, said) => {
      const request = await device(said);
      expect(request.operates).toBe(true);
      const methods = asked();
      await expect(gateway.approveDevice(request)).rejects.toMatchObject({
        code: 'HELD',
        hint: `openclaw devices approve ${request.requestId}`,
      });
      expect(methods()).not.toContain('device.pair.approve');
      await gateway.rejectDevice(request);
      expect(openclaw.approves(request.requestId)).toBe(false);
    },
  );

  test.each([
    ['an operator', { role: 'operator', roles: ['operator'] }],
    ['a node and something else', { roles: ['node', 'admin'] }],
    ['a node, an operator and something else', { roles: ['node', 'operator', 'admin'] }],
    ['a node with a scope', { scopes: ['operator.read'] }],
    ['nothing', { role: undefined }],
  ])('of one who wants to be %s is not listed', async (_what, said) => {
    openclaw.asks(DEVICE, said);
    await seen(openclaw.asks(OTHER));
    expect(gateway.requests().map(({ deviceId }) => deviceId)).toEqual([OTHER]);
  });
});

describe('what a device says of itself', () => {
  test('is cut where it is too long, and the cut shows', async () => {
    const { displayName, platform } = await device({
      displayName: `${'n'.repeat(254)}😀${'n'.repeat(99_999)}`,
      platform: 7,
    });
    expect(displayName).toBe(`${'n'.repeat(254)}\ufffd…`);
    expect(platform).toBeNull();
  });

  test('that is no address is none', async () => {
    expect((await device({ remoteIp: '10.0.0.1; rm -rf /' })).remoteIp).toBeNull();
  });

  test.each([
    ['an id without end', { publicKey: 'p'.repeat(300) }],
    ['no time', { ts: 'soon' }],
    ['scopes that are none', { scopes: 'all' }],
  ])('with %s hides itself and nobody else, and is logged once', async (_what, said) => {
    openclaw.asks(DEVICE, said);
    await seen(openclaw.asks(OTHER));
    expect(gateway.requests()).toHaveLength(1);
    fake.announce('presence');
    await seen(openclaw.asks('f'.repeat(64)));
    expect(lines.filter((line) => line.includes('can not be read'))).toHaveLength(1);
  });

  test.each([
    ['too many commands', Array.from({ length: 257 }, (_, index) => `c${index}`)],
    ['a command that is too long', ['c'.repeat(129)]],
    ['a command that is no text', [7 as unknown as string]],
  ])('with %s is no surface that could be approved', async (_what, commands) => {
    openclaw.approves(openclaw.asks(DEVICE));
    openclaw.offers(DEVICE, commands);
    await seen(openclaw.asks(OTHER));
    expect(gateway.requests().map(({ kind }) => kind)).toEqual(['device']);
  });

  test('ten thousand times is listed a thousand times', async () => {
    const row = { publicKey: 'p', role: 'node', roles: ['node'], scopes: [], ts: 1 };
    const pending = Array.from({ length: 10_000 }, (_, index) => ({
      ...row,
      requestId: `${index}`,
      deviceId: `${index}`,
    }));
    fake.answers.set('device.pair.list', () => ({ ok: true, payload: { pending, paired: [] } }));
    fake.announce('device.pair.requested');
    await until('they are seen', () => gateway.requests().length === 1000);
    expect(lines.join('')).toContain('"entries":9000');
  });
});

describe('an approval', () => {
  test('of a device, then of its surface, makes the node usable', async () => {
    await gateway.approveDevice(await device());
    await until('it is paired', () => gateway.nodes().get(DEVICE)?.paired === true);
    expect(gateway.requests()).toEqual([]);
    const request = await seen(openclaw.offers(DEVICE, COMMANDS)!);
    await gateway.approveSurface(request as SurfaceRequest);
    await until('it is approved', () => gateway.nodes().get(DEVICE)?.approvalState === 'approved');
    expect(gateway.nodes().get(DEVICE)?.commands).toEqual(COMMANDS);
  });

  test('that somebody else was first with is one too', async () => {
    const request = await device();
    openclaw.approves(request.requestId);
    await gateway.approveDevice(request);
    const offered = await seen(openclaw.offers(DEVICE, COMMANDS)!);
    openclaw.approves(offered.requestId);
    await gateway.approveSurface(offered as SurfaceRequest);
    expect(openclaw.paired.get(DEVICE)?.surface).toEqual(COMMANDS);
  });

  test('that somebody else was first with between the look and the word is one too', async () => {
    const request = await device();
    const approve = fake.answers.get('device.pair.approve')!;
    fake.answers.set('device.pair.approve', (params) => {
      openclaw.approves(request.requestId);
      return approve(params);
    });
    await expect(gateway.approveDevice(request)).resolves.toBeUndefined();
  });

  test('of a device whose request is over is refused, with what to do', async () => {
    const request = await device();
    openclaw.expires(request.requestId);
    const error = await gateway.approveDevice(request).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ ...REFUSED, message: expect.stringContaining('expired') as string });
    expect(error).toMatchObject({ hint: expect.stringContaining('restart OpenClaw') as string });
  });

  test('of a device that was paired before does not take its old pairing for the new one', async () => {
    openclaw.approves(openclaw.asks(DEVICE));
    const repair = await device({ platform: 'darwin' });
    expect(repair.isRepair).toBe(true);
    openclaw.rejects(repair.requestId);
    await expect(gateway.approveDevice(repair)).rejects.toMatchObject(REFUSED);
  });

  test.each([
    ['another key', { publicKey: 'another' }],
    ['another name', { displayName: 'the-master' }],
    ['another address', { remoteIp: '100.64.0.99' }],
    ['the role of an operator', { roles: ['node', 'operator'] }],
    ['a scope', { scopes: ['operator.admin'] }],
  ])('of a device that has %s by now is refused, and the gateway is not asked for it', async (_what, said) => {
    const request = await device();
    openclaw.asks(DEVICE, said);
    const methods = asked();
    await expect(gateway.approveDevice(request)).rejects.toMatchObject(REFUSED);
    expect(methods()).not.toContain('device.pair.approve');
    expect(openclaw.paired.size).toBe(0);
  });

  test.each([
    ['another node', { nodeId: OTHER }],
    ['a command more', { commands: [...COMMANDS, 'terminal.upload'] }],
    ['a capability more', { caps: ['system', 'browser'] }],
    ['another version', { version: '2027.1.1' }],
  ])('of a surface that has %s by now is refused, and the gateway is not asked for it', async (_what, said) => {
    const request = await surface();
    openclaw.offers(DEVICE, COMMANDS, { requestId: request.requestId, ...said });
    const methods = asked();
    await expect(gateway.approveSurface(request)).rejects.toMatchObject(REFUSED);
    expect(methods()).not.toContain('node.pair.approve');
    expect(openclaw.paired.get(DEVICE)?.surface).toBeNull();
  });

  test('of a surface that offers less by now is one', async () => {
    const request = await surface();
    openclaw.offers(DEVICE, ['system.which'], { requestId: request.requestId });
    await gateway.approveSurface(request);
    expect(openclaw.paired.get(DEVICE)?.surface).toEqual(['system.which']);
  });

  test('that the gateway denies is none', async () => {
    const request = await surface();
    const error = { code: 'FORBIDDEN', message: 'missing scope: operator.admin' };
    fake.answers.set('node.pair.approve', () => ({ ok: false, error }));
    await expect(gateway.approveSurface(request)).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('missing scope') as string,
    });
  });
});

describe('a rejection', () => {
  test('turns away a device, and a surface whose device stays', async () => {
    await gateway.rejectSurface(await surface());
    expect(openclaw.paired.get(DEVICE)).toMatchObject({ surface: null, pendingSurface: null });
    const request = await seen(openclaw.asks(OTHER));
    await gateway.rejectDevice(request as DeviceRequest);
    expect(openclaw.paired.has(OTHER)).toBe(false);
    await until('they are gone', () => gateway.requests().length === 0);
  });

  test('of what is gone already is one', async () => {
    const request = await device();
    openclaw.expires(request.requestId);
    await expect(gateway.rejectDevice(request)).resolves.toBeUndefined();
  });

  test('of what somebody else has approved meanwhile says so', async () => {
    const request = await device();
    openclaw.approves(request.requestId);
    await expect(gateway.rejectDevice(request)).rejects.toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('approved meanwhile') as string,
    });
  });
});

describe('a removal', () => {
  beforeEach(async () => {
    await gateway.approveSurface(await surface());
  });

  test('takes out the surface and the device', async () => {
    await gateway.removeDevice(DEVICE);
    expect(openclaw.paired.size).toBe(0);
    await until('it is gone here', () => !gateway.nodes().has(DEVICE));
  });

  test('of what is gone already is one', async () => {
    await gateway.removeDevice(OTHER);
    expect(openclaw.paired.has(DEVICE)).toBe(true);
  });

  test.each(['device.pair.remove', 'node.pair.remove'])('that the gateway denies to %s is none', async (denied) => {
    for (const method of ['device.pair.remove', 'node.pair.remove']) {
      const message = method === denied ? 'removal denied' : 'unknown';
      fake.answers.set(method, () => ({ ok: false, error: { code: 'INVALID_REQUEST', message } }));
    }
    await expect(gateway.removeDevice(DEVICE)).rejects.toMatchObject(REFUSED);
  });

  test('that the gateway confirms but does not do is none', async () => {
    for (const method of ['device.pair.remove', 'node.pair.remove']) {
      fake.answers.set(method, () => ({ ok: true, payload: {} }));
    }
    await expect(gateway.removeDevice(DEVICE)).rejects.toMatchObject(REFUSED);
  });
});

test('a node gets another name where its surface is approved', async () => {
  await expect(gateway.renameNode(DEVICE, 'kitchen')).rejects.toMatchObject(REFUSED);
  await gateway.approveSurface(await surface());
  await gateway.renameNode(DEVICE, 'kitchen');
  await until('the name shows', () => gateway.nodes().get(DEVICE)?.displayName === 'kitchen');
});

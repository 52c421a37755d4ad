import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { createLog } from '#src/adapters/log.ts';
import { startGateway } from '#src/adapters/openclaw/gateway-process.ts';
import type { GatewayProcess } from '#src/adapters/openclaw/gateway-process.ts';
import type { Gateway } from '#src/adapters/openclaw/gateway.ts';
import { connectGateway } from '#src/adapters/openclaw/gateway.ts';
import type { DeviceRequest, GatewayRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';
import { plainNode } from './plain-node.ts';
import type { PlainNode } from './plain-node.ts';
import { COMMANDS, OPENCLAW, freePort, until } from './small-federation.ts';

const FIVE_MINUTES = 300_000;

let directory: string;
let port: number;
let token: string;
let gatewayProcess: GatewayProcess;
let gateway: Gateway;
let node: PlainNode;
const lines: string[] = [];
const log = createLog({ level: 'debug', module: 'test', write: (line) => void lines.push(line) });
const stopping = new AbortController();

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocf-pairing-'));
  port = await freePort();
  token = randomBytes(32).toString('base64url');
  await startAgain();
  const { url } = gatewayProcess;
  gateway = connectGateway({ url, token: () => token, trusts: () => true, log, signal: stopping.signal });
  const named = { displayName: 'attic', commands: COMMANDS };
  node = plainNode({ directory: join(directory, 'node'), port, token, ...named });
});

afterAll(async () => {
  stopping.abort();
  await Promise.all([node?.stop(), gateway?.close()]);
  await gatewayProcess?.stop();
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
});

beforeEach(() => {
  onTestFailed(() => console.error([...lines.slice(-60), ...node.lines.slice(-20)].join('\n')));
});

async function startAgain(): Promise<void> {
  const { signal } = stopping;
  const where = { directory: join(directory, 'gateway'), port, token, openclaw: OPENCLAW };
  gatewayProcess = await startGateway({ ...where, log: log.child('openclaw'), signal });
}

async function restartGateway(): Promise<void> {
  await gatewayProcess.stop();
  await until(
    () => gateway.status().state === 'disconnected',
    () => gateway.status(),
  );
  expect(gateway.requests()).toEqual([]);
  await startAgain();
}

async function restartNode(): Promise<void> {
  await node.stop();
  await node.start();
}

async function request<Kind extends GatewayRequest['kind']>(kind: Kind): Promise<GatewayRequest & { kind: Kind }> {
  const find = () => gateway.requests().find((one): one is GatewayRequest & { kind: Kind } => one.kind === kind);
  await until(
    () => find() !== undefined,
    () => gateway.requests(),
  );
  return find()!;
}

function nodeAt(deviceId: string) {
  return gateway.nodes().get(deviceId);
}

describe('a node that only runs OpenClaw’s own node host', () => {
  let device: DeviceRequest;
  let surface: SurfaceRequest;

  it('is a device request at first, with its countdown', async () => {
    await node.start();
    device = await request('device');
    expect(device).toMatchObject({ displayName: 'attic', platform: 'linux', remoteIp: null, isRepair: false });
    expect(device.deviceId).toMatch(/^[0-9a-f]{64}$/);
    expect(device.expiresAt).toBe(device.askedAt + FIVE_MINUTES);
    expect(nodeAt(device.deviceId)).toBeUndefined();
  });

  it('asks with the same request where it is restarted before it is let in', async () => {
    await node.paused();
    await restartNode();
    await node.paused();
    expect(node.lines.join('')).toContain(device.requestId);
    // Its countdown is that of the first attempt: the gateway does not list the time of the last one.
    expect(gateway.requests()).toEqual([device]);
  });

  it('is paired by the approval, and goes on waiting until it is restarted', async () => {
    await gateway.approveDevice(device);
    await until(
      () => nodeAt(device.deviceId)?.paired === true,
      () => [...gateway.nodes()],
    );
    expect(nodeAt(device.deviceId)).toMatchObject({ connected: false, approvalState: 'unapproved', commands: [] });
    expect(gateway.requests()).toEqual([]);
    await expect(gateway.approveDevice(device)).resolves.toBeUndefined();
  });

  it('is a surface request then, connected and without commands', async () => {
    await restartNode();
    surface = await request('surface');
    expect(surface).toMatchObject({ deviceId: device.deviceId, displayName: 'attic', isRepair: false });
    expect(surface.commands.toSorted()).toEqual(COMMANDS.toSorted());
    expect(nodeAt(device.deviceId)).toMatchObject({
      connected: true,
      approvalState: 'pending-approval',
      pendingRequestId: surface.requestId,
      commands: [],
    });
  });

  it('still is one after the gateway was restarted', async () => {
    await restartGateway();
    const found = await request('surface');
    expect(found).toMatchObject({ deviceId: device.deviceId, commands: surface.commands });
    surface = found;
    await until(
      () => nodeAt(device.deviceId)?.connected === true,
      () => [...gateway.nodes()],
    );
  });

  it('can be used as soon as its surface is approved', async () => {
    await gateway.approveSurface(surface);
    await until(
      () => nodeAt(device.deviceId)?.approvalState === 'approved',
      () => [...gateway.nodes()],
    );
    expect(nodeAt(device.deviceId)).toMatchObject({ connected: true, paired: true, pendingRequestId: null });
    expect(await gateway.invoke(device.deviceId, 'system.which', { bins: ['sh'] }, 20_000)).toHaveProperty('bins.sh');
    await expect(gateway.approveSurface(surface)).resolves.toBeUndefined();
    await expect(gateway.rejectSurface(surface)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
  });

  it('takes another name', async () => {
    await gateway.renameNode(device.deviceId, 'cellar');
    await until(
      () => nodeAt(device.deviceId)?.displayName === 'cellar',
      () => [...gateway.nodes()],
    );
  });

  it('is gone with its surface and its device once it is removed', async () => {
    await gateway.removeDevice(device.deviceId);
    await until(
      () => nodeAt(device.deviceId) === undefined,
      () => [...gateway.nodes()],
    );
    await expect(gateway.invoke(device.deviceId, 'system.which', { bins: ['sh'] }, 20_000)).rejects.toMatchObject({
      code: 'OPENCLAW_REFUSED',
    });
    await expect(gateway.removeDevice(device.deviceId)).resolves.toBeUndefined();
  });

  it('can ask again, and be turned away', async () => {
    await restartNode();
    const again = await request('device');
    expect(again).toMatchObject({ deviceId: device.deviceId, isRepair: false });
    expect(again.requestId).not.toBe(device.requestId);
    await expect(gateway.approveDevice(device)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
    await gateway.rejectDevice(again);
    await until(
      () => gateway.requests().length === 0,
      () => gateway.requests(),
    );
    await expect(gateway.rejectDevice(again)).resolves.toBeUndefined();
    expect(nodeAt(device.deviceId)).toBeUndefined();
  });
});

import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import type { DeviceRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';
import type { OwnGateway } from './own-gateway.ts';
import { ownGateway } from './own-gateway.ts';
import { plainNode } from './plain-node.ts';
import type { PlainNode } from './plain-node.ts';
import { COMMANDS } from './small-federation.ts';

const FIVE_MINUTES = 300_000;

let openclaw: OwnGateway;
let node: PlainNode;

beforeAll(async () => {
  openclaw = await ownGateway();
  const { port, token } = openclaw;
  const directory = join(openclaw.directory, 'node');
  node = plainNode({ directory, port, token, displayName: 'attic', commands: COMMANDS });
});

afterAll(async () => {
  await node?.stop();
  await openclaw?.close();
});

beforeEach(() => {
  onTestFailed(() => console.error([...openclaw.lines.slice(-60), ...node.lines.slice(-20)].join('\n')));
});

async function restartNode(): Promise<void> {
  await node.stop();
  await node.start();
}

describe('a node that only runs OpenClaw’s own node host', () => {
  let device: DeviceRequest;
  let surface: SurfaceRequest;

  it('is a device request at first, with its countdown', async () => {
    await node.start();
    device = await openclaw.request('device');
    expect(device).toMatchObject({ displayName: 'attic', platform: 'linux', remoteIp: null, isRepair: false });
    expect(device.deviceId).toMatch(/^[0-9a-f]{64}$/);
    expect(device.expiresAt).toBe(device.askedAt + FIVE_MINUTES);
    await openclaw.node(device.deviceId, null);
  });

  it('asks with the same request where it is restarted before it is let in', async () => {
    await node.paused();
    await restartNode();
    await node.paused();
    expect(node.lines.join('')).toContain(device.requestId);
    // Its countdown is that of the first attempt: the gateway does not list the time of the last one.
    expect(await openclaw.requests(1)).toEqual([device]);
  });

  it('is paired by the approval, and goes on waiting until it is restarted', async () => {
    await openclaw.gateway.approveDevice(device);
    await openclaw.node(device.deviceId, { paired: true, connected: false, approvalState: 'unapproved' });
    await openclaw.requests(0);
    await expect(openclaw.gateway.approveDevice(device)).resolves.toBeUndefined();
  });

  it('is a surface request then, connected and without commands', async () => {
    await restartNode();
    surface = await openclaw.request('surface');
    expect(surface).toMatchObject({ deviceId: device.deviceId, displayName: 'attic', isRepair: false });
    expect(surface.commands.toSorted()).toEqual(COMMANDS.toSorted());
    const waits = { approvalState: 'pending-approval', pendingRequestId: surface.requestId } as const;
    await openclaw.node(device.deviceId, { ...waits, connected: true, commands: [] });
  });

  it('still is one after the gateway was restarted', async () => {
    const restarted = openclaw.restart();
    await openclaw.requests(0);
    await restarted;
    const found = await openclaw.request('surface');
    expect(found).toMatchObject({ deviceId: device.deviceId, commands: surface.commands });
    surface = found;
    await openclaw.node(device.deviceId, { connected: true });
  });

  it('can be used as soon as its surface is approved', async () => {
    const { gateway } = openclaw;
    await gateway.approveSurface(surface);
    await openclaw.node(device.deviceId, { approvalState: 'approved', connected: true, pendingRequestId: null });
    expect(await gateway.invoke(device.deviceId, 'system.which', { bins: ['sh'] }, 20_000)).toHaveProperty('bins.sh');
    await expect(gateway.approveSurface(surface)).resolves.toBeUndefined();
    await expect(gateway.rejectSurface(surface)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
  });

  it('takes another name', async () => {
    await openclaw.gateway.renameNode(device.deviceId, 'cellar');
    await openclaw.node(device.deviceId, { displayName: 'cellar' });
    expect(openclaw.gateway.nodes().get(device.deviceId)).toMatchObject({ connected: true, approvalState: 'approved' });
  });

  it('is gone with its surface and its device once it is removed', async () => {
    const { gateway } = openclaw;
    await gateway.removeDevice(device.deviceId);
    await openclaw.node(device.deviceId, null);
    await expect(gateway.invoke(device.deviceId, 'system.which', { bins: ['sh'] }, 20_000)).rejects.toMatchObject({
      code: 'OPENCLAW_REFUSED',
    });
    await expect(gateway.removeDevice(device.deviceId)).resolves.toBeUndefined();
  });

  it('can ask again, and be turned away', async () => {
    const { gateway } = openclaw;
    await restartNode();
    const again = await openclaw.request('device');
    expect(again).toMatchObject({ deviceId: device.deviceId, isRepair: false });
    expect(again.requestId).not.toBe(device.requestId);
    await expect(gateway.approveDevice(device)).rejects.toMatchObject({ code: 'OPENCLAW_REFUSED' });
    await gateway.rejectDevice(again);
    await openclaw.requests(0);
    await expect(gateway.rejectDevice(again)).resolves.toBeUndefined();
    await openclaw.node(device.deviceId, null);
  });
});

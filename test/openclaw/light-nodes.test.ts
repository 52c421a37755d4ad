import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { openConnection } from '#src/adapters/openclaw/gateway-connection.ts';
import type { DeviceRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';
import { deviceListSchema } from '#src/adapters/openclaw/gateway-request.ts';
import { lightNode } from './light-node.ts';
import type { LightNode } from './light-node.ts';
import type { OwnGateway } from './own-gateway.ts';
import { ownGateway } from './own-gateway.ts';
import { until } from './small-federation.ts';

const REFUSED = { code: 'OPENCLAW_REFUSED' };
const NAME = 'kitchen-light';

let openclaw: OwnGateway;

beforeAll(async () => {
  openclaw = await ownGateway();
});

afterAll(() => openclaw?.close());

beforeEach(() => {
  onTestFailed(() => console.error(openclaw.lines.slice(-60).join('\n')));
});

function light(displayName: string): LightNode {
  const { url, token } = openclaw;
  return lightNode({ url, token, displayName, commands: ['system.which'] });
}

describe('a node that changes what it asks for after it was seen', () => {
  let node: LightNode;
  let seen: DeviceRequest;

  beforeAll(async () => {
    node = light(NAME);
    await node.connect();
    seen = await openclaw.request('device');
  });

  afterAll(() => node.close());

  it('keeps its request under another name, and does not get in by the approval of the first', async () => {
    expect(await node.connect({ displayName: 'the-master' })).toBe('pairing required');
    await expect(openclaw.gateway.approveDevice(seen)).rejects.toMatchObject(REFUSED);
    await until(
      () => openclaw.gateway.requests()[0]?.displayName === 'the-master',
      () => openclaw.gateway.requests(),
    );
    expect(await openclaw.requests(1)).toEqual([{ ...seen, displayName: 'the-master' }]);
    await openclaw.node(node.deviceId, null);
  });

  it('does not get more commands by the approval of fewer', async () => {
    expect(await node.connect({ displayName: NAME })).toBe('pairing required');
    await openclaw.gateway.approveDevice(seen);
    expect(await node.connect()).toBe('connected');
    const few = await openclaw.request('surface');
    expect(few.commands).toEqual(['system.which']);
    expect(await node.connect({ commands: ['system.run', 'system.which'] })).toBe('connected');
    await expect(openclaw.gateway.approveSurface(few)).rejects.toMatchObject(REFUSED);
    await openclaw.node(node.deviceId, { commands: [], approvalState: 'pending-approval' });
  });

  it('keeps the commands that were approved while it asks for more', async () => {
    const approved = ['system.run', 'system.which'];
    await openclaw.gateway.approveSurface(await openclaw.request('surface'));
    expect(await node.connect({ commands: [...approved, 'system.run.prepare'] })).toBe('connected');
    await openclaw.node(node.deviceId, { commands: approved, approvalState: 'pending-reapproval' });
    expect(await openclaw.request('surface')).toMatchObject({ isRepair: true, deviceId: node.deviceId });
  });
});

describe('a device that asks once more while it is let in', () => {
  const ATTEMPTS = 8;
  /** Which moment it takes depends on the machine: every spacing is tried again and again. */
  const SPACINGS_MS = [3, 1, 6, 2, 10, 4, 15, 8];
  const PATIENCE_MS = 150_000;

  /** The gateway's own list, with what our side leaves out. */
  async function repairsOf(deviceId: string): Promise<number> {
    const { url, token } = openclaw;
    const { signal } = new AbortController();
    const operator = await openConnection({ url, token, trusts: () => true, onEvent: () => undefined, signal });
    const { pending } = await operator.request('device.pair.list', {}, deviceListSchema);
    operator.close();
    return pending.rows.filter((row) => row.deviceId === deviceId && row.isRepair).length;
  }

  interface Round {
    readonly node: LightNode;
    readonly seen: DeviceRequest;
    readonly close: () => void;
  }

  /** Attempts of one device around the moment of its approval; what comes of it is a matter of milliseconds. */
  async function round(spacingMs: number): Promise<Round> {
    const keys = generateKeyPairSync('ed25519');
    const { url, token, gateway } = openclaw;
    const said = { url, token, displayName: 'twin', commands: ['system.which'], keys };
    const attempts = Array.from({ length: ATTEMPTS }, () => lightNode(said));
    const node = attempts[0]!;
    const own = () => gateway.requests().find(({ deviceId }) => deviceId === node.deviceId);
    await node.connect();
    await until(
      () => own() !== undefined,
      () => gateway.requests(),
    );
    const seen = own() as DeviceRequest;
    const all = attempts.map(async (attempt, index) => {
      await pause(spacingMs * index);
      return attempt.connect();
    });
    await Promise.all([gateway.approveDevice(seen), ...all]);
    return { node, seen, close: () => attempts.forEach((attempt) => attempt.close()) };
  }

  async function roundThatLeavesOne(): Promise<Round> {
    const end = performance.now() + PATIENCE_MS;
    for (let rounds = 0; performance.now() < end; rounds++) {
      const done = await round(SPACINGS_MS[rounds % SPACINGS_MS.length]!);
      if ((await repairsOf(done.node.deviceId)) > 0) return done;
      done.close();
      await openclaw.gateway.removeDevice(done.node.deviceId);
    }
    throw new Error('the gateway left no request behind, however often it was tried');
  }

  it('leaves a request behind that is nobody’s to approve, and is usable', { timeout: 240_000 }, async () => {
    const { gateway } = openclaw;
    const { node, seen, close } = await roundThatLeavesOne();
    await gateway.approveDevice(seen);
    await openclaw.node(node.deviceId, { approvalState: 'pending-approval', connected: true });
    const left = gateway.requests().filter(({ deviceId }) => deviceId === node.deviceId);
    expect(left.map(({ kind }) => kind)).toEqual(['surface']);
    await gateway.approveSurface(left[0] as SurfaceRequest);
    expect(await gateway.invoke(node.deviceId, 'system.which', { bins: ['sh'] }, 20_000)).toHaveProperty('bins');
    close();
    await gateway.removeDevice(node.deviceId);
    await openclaw.node(node.deviceId, null);
  });
});

describe('twenty nodes that appear at once', () => {
  let nodes: LightNode[];

  beforeAll(() => {
    nodes = Array.from({ length: 20 }, (_, index) => light(`light-${index}`));
  });

  afterAll(() => {
    for (const node of nodes) node.close();
  });

  it('are all usable once each of their requests was approved', async (context) => {
    const { gateway } = openclaw;
    const from = performance.now();
    expect(new Set(await Promise.all(nodes.map((node) => node.connect())))).toEqual(new Set(['pairing required']));
    // The node of the tests before still asks for more.
    const devices = (await openclaw.requests(21)).filter(({ kind }) => kind === 'device');
    await Promise.all(devices.map((seen) => gateway.approveDevice(seen as DeviceRequest)));
    expect(new Set(await Promise.all(nodes.map((node) => node.connect())))).toEqual(new Set(['connected']));
    await Promise.all(nodes.map(({ deviceId }) => openclaw.node(deviceId, { approvalState: 'pending-approval' })));
    const surfaces = openclaw.gateway.requests().filter(({ isRepair }) => !isRepair);
    expect(surfaces).toHaveLength(20);
    await Promise.all(surfaces.map((seen) => gateway.approveSurface(seen as SurfaceRequest)));
    const answers = await Promise.all(
      nodes.map(({ deviceId }) => gateway.invoke(deviceId, 'system.which', { bins: [deviceId] }, 20_000)),
    );
    expect(answers).toEqual(nodes.map(({ deviceId }) => expect.objectContaining({ bins: [deviceId] }) as unknown));
    await context.annotate(`all usable after ${Math.round(performance.now() - from)} ms`);
  });

  it('are all gone once they are removed', async () => {
    await Promise.all(nodes.map(({ deviceId }) => openclaw.gateway.removeDevice(deviceId)));
    await Promise.all(nodes.map(({ deviceId }) => openclaw.node(deviceId, null)));
    expect(openclaw.gateway.nodes().size).toBe(1);
  });
});

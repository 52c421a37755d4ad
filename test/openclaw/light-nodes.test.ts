import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import type { DeviceRequest, SurfaceRequest } from '#src/adapters/openclaw/gateway-request.ts';
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

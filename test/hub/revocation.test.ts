import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteStore } from '#src/adapters/store/sqlite.ts';
import { memberFrom } from '#src/core/member.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakePairing } from '../support/fake-pairing.ts';
import { fakePairing } from '../support/fake-pairing.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';

const DEVICE = 'd'.repeat(64);

let gateway: FakeGateway;
let pairing: FakePairing;
let federation: Federation;
let secrets: string;

beforeEach(async () => {
  gateway = await fakeGateway();
  pairing = withDevice(gateway);
  secrets = await mkdtemp(join(tmpdir(), 'ocf-token-'));
  const tokenFile = join(secrets, 'token');
  await writeFile(tokenFile, 'secret');
  federation = await startFederation({ workers: 1, hub: { gateway: { url: gateway.url, tokenFile } } });
  await giveDevice('w1');
});

afterEach(async () => {
  await federation[Symbol.asyncDispose]();
  await gateway.close();
  await rm(secrets, { recursive: true });
});

/** The gateway as it is with the node host of w1. */
function withDevice(fake: FakeGateway): FakePairing {
  const at = fakePairing(fake);
  at.approves(at.asks(DEVICE, { displayName: 'w1' }));
  at.approves(at.offers(DEVICE, ['system.which'])!);
  return at;
}

/** As if a node host of this member had joined. */
async function giveDevice(name: string): Promise<void> {
  await federation.stopHub();
  const store = openSqliteStore(join(federation.home('master'), 'hub.sqlite'));
  const { members } = await store.membership();
  const member = memberFrom(members.find((one) => one.name === name)!);
  const openclaw = { deviceId: DEVICE, removing: false };
  await store.commit([{ type: 'member', id: member.id, value: { ...member, openclaw } }]);
  await store.close();
  await federation.startHub();
  await federation.untilOnline(name);
  await untilGateway('connected');
}

async function untilGateway(state: string): Promise<void> {
  await eventually(`the gateway is ${state}`, async () => {
    const status = await federation.get<Status>('/status');
    return status.gateway.state === state;
  });
}

/** With all that it knew, as its own store keeps it. */
async function gatewayBack(): Promise<void> {
  gateway = await fakeGateway(gateway.port);
  pairing = withDevice(gateway);
  await untilGateway('connected');
}

test('a device of a member that is revoked while the gateway is away goes when it is back, over a restart of the hub', async () => {
  await gateway.close();
  await untilGateway('disconnected');
  await federation.post('/nodes/w1/revoke');
  expect((await federation.show('w1')).openclaw.deviceId).toBe(DEVICE);
  await federation.restartHub();
  await gatewayBack();
  await eventually('the hub knows it', async () => (await federation.show('w1')).openclaw.deviceId === null);
  expect(pairing.paired.has(DEVICE)).toBe(false);
});

test('a removal that the gateway refuses is tried again until it confirms', async () => {
  let refused = 0;
  for (const method of ['node.pair.remove', 'device.pair.remove']) {
    const remove = gateway.answers.get(method)!;
    gateway.answers.set(method, (params) => {
      if (refused > 0) return remove(params);
      refused += 1;
      return { ok: false, error: { code: 'UNAVAILABLE', message: 'not now' } };
    });
  }
  await federation.post('/nodes/w1/revoke');
  await eventually('the hub knows it', async () => (await federation.show('w1')).openclaw.deviceId === null);
  expect(pairing.paired.has(DEVICE)).toBe(false);
  expect(refused).toBe(1);
});

test('a device gets its member’s new name, at once or when the gateway is there again', async () => {
  await federation.post('/nodes/w1/rename', { name: 'cellar' });
  await eventually('it is renamed', () => pairing.paired.get(DEVICE)?.displayName === 'cellar');
  await gateway.close();
  await untilGateway('disconnected');
  await federation.post('/nodes/cellar/rename', { name: 'attic' });
  await gatewayBack();
  await eventually('it is renamed', () => pairing.paired.get(DEVICE)?.displayName === 'attic');
  expect((await federation.show('attic')).openclaw.deviceId).toBe(DEVICE);
});

test('a gateway that won’t take a name is asked once', async () => {
  let asked = 0;
  gateway.answers.set('node.rename', () => {
    asked += 1;
    return { ok: false, error: { code: 'INVALID_REQUEST', message: 'no' } };
  });
  await federation.post('/nodes/w1/rename', { name: 'cellar' });
  await eventually('it is asked', () => asked > 0);
  gateway.announce('presence');
  pairing.offers(DEVICE, ['system.which']);
  await eventually('it is there', async () => gateway.frames.filter((frame) => frame.includes('node.list')).length > 4);
  expect(asked).toBe(1);
});

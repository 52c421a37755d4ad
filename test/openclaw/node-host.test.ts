import { afterAll, beforeAll, describe, expect, onTestFailed, beforeEach, test } from 'vitest';
import { WebSocket } from 'ws';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import { closeCode, nextFrame, refusal } from '../support/socket.ts';
import { operatorConnect } from './connections.ts';
import { lightNode } from './light-node.ts';
import { COMMANDS, familyOf, smallFederation, until } from './small-federation.ts';
import type { SmallFederation } from './small-federation.ts';

let federation: SmallFederation;

beforeAll(async () => {
  federation = await smallFederation();
});

afterAll(async () => {
  await federation?.close();
});

beforeEach(() => {
  const from = federation.log.length;
  onTestFailed(() => console.error(federation.log.slice(from).slice(-80).join('')));
});

async function connected(): Promise<void> {
  await until(
    () => federation.nodeHost() === 'connected',
    () => federation.supervision.state(),
    180_000,
  );
}

async function systemWhich(): Promise<unknown> {
  return federation.gateway.invoke(federation.deviceId(), 'system.which', { bins: ['sh'] }, 20_000);
}

/** The node host's own process; the leader of its group is only OpenClaw's launcher. */
async function nodeHostPids(): Promise<{ launcher: number; child: number }> {
  const launcher = federation.supervision.state().pid ?? 0;
  const child = (await familyOf(launcher)).find((pid) => pid !== launcher) ?? 0;
  expect(launcher).toBeGreaterThan(1);
  expect(child).toBeGreaterThan(1);
  return { launcher, child };
}

test('a node host joins with one setup code, through both carriers, and its commands are approved', async () => {
  await connected();
  expect(federation.desk.commands(federation.member()).toSorted()).toEqual(COMMANDS.toSorted());
  expect(federation.gateway.nodes().get(federation.deviceId())?.approvalState).toBe('approved');
});

test('a command of the node host answers through the gateway', async () => {
  expect(await systemWhich()).toHaveProperty('bins.sh');
});

test('neither the setup code nor the credential is in the log', () => {
  const text = federation.log.join('');
  expect(text).not.toContain(federation.credential);
  expect(text).not.toMatch(/eyJ[\w-]{20}/);
});

test('a killed launcher takes the node host with it, and both come back', async () => {
  const { launcher, child } = await nodeHostPids();
  process.kill(launcher, 'SIGKILL');
  await until(
    () => federation.nodeHost() !== 'connected',
    () => federation.supervision.state(),
  );
  await connected();
  expect((await nodeHostPids()).child).not.toBe(child);
  expect(await systemWhich()).toHaveProperty('bins.sh');
});

describe('through the carrier', () => {
  test('an operator gets nothing, and the gateway hears nothing of it', async () => {
    const before = federation.toGateway().length;
    const socket = dial(federation.hubPort, federation.credential);
    expect(await nextFrame(socket)).toContain('connect.challenge');
    socket.send(JSON.stringify(operatorConnect('guessed')));
    expect(await closeCode(socket)).toBe(1008);
    expect(framesOf(federation.toGateway()[before])).toHaveLength(0);
  });

  test('neither does one who comes by the port of the worker', async () => {
    const before = federation.toGateway().length;
    const socket = new WebSocket(`ws://127.0.0.1:${federation.carrierPort}/`);
    expect(await nextFrame(socket)).toContain('connect.challenge');
    socket.send(JSON.stringify(operatorConnect('guessed')));
    expect(await closeCode(socket)).toBe(1008);
    expect(framesOf(federation.toGateway()[before])).toHaveLength(0);
  });

  test('plain HTTP, another path, a browser and a stranger do not even get a connection to the gateway', async () => {
    const before = federation.toGateway().length;
    for (const port of [federation.hubPort, federation.carrierPort]) {
      const response = await fetch(`http://127.0.0.1:${port}/healthz`);
      expect(response.status).toBeGreaterThanOrEqual(400);
    }
    expect(await refusal(dial(federation.hubPort, 'another'))).toBe(401);
    expect(await refusal(dial(federation.hubPort, federation.credential, '/'))).toBe(404);
    expect(await refusal(new WebSocket(`ws://127.0.0.1:${federation.carrierPort}/`, { origin: 'http://x' }))).toBe(403);
    expect(federation.toGateway()).toHaveLength(before);
  });
});

test('a device that has a setup code of the member, and not its carrier, is put out again', async () => {
  const own = federation.deviceId();
  const { setupCode } = await federation.desk.setupCode(federation.member(), 1);
  const { bootstrapToken } = JSON.parse(Buffer.from(setupCode, 'base64url').toString()) as { bootstrapToken: string };
  const { url } = federation.gateway.status();
  const said = { displayName: 'another', commands: ['system.run'] };
  const thief = lightNode({ url, token: bootstrapToken, isOfSetupCode: true, ...said });
  try {
    expect(await thief.connect()).toBe('connected');
    await until(
      () => federation.member().setupCodes.length === 0 && federation.member().leaving.length === 0,
      () => federation.member(),
    );
    await until(
      () => !federation.gateway.nodes().has(thief.deviceId),
      () => [...federation.gateway.nodes().keys()],
    );
    expect(await thief.connect()).not.toBe('connected');
  } finally {
    thief.close();
  }
  expect(federation.deviceId()).toBe(own);
  await connected();
});

test('a revoked member loses its connection at once and its device at the gateway', async () => {
  const device = federation.deviceId();
  federation.change({ revokedAt: 1, openclaw: { deviceId: device, removing: true } });
  federation.carrier.closeFor(federation.member().id);
  federation.desk.sweep();
  await until(
    () => federation.member().openclaw === null,
    () => federation.member().openclaw,
  );
  await until(
    () => !federation.gateway.nodes().has(device),
    () => [...federation.gateway.nodes().keys()],
  );
  expect(await refusal(dial(federation.hubPort, federation.credential))).toBe(403);
});

function dial(port: number, credential: string, path: string = CARRIER_PATH): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers: { authorization: `Bearer ${credential}` } });
}

/** What followed the request for a WebSocket. */
function framesOf(sent: Buffer | undefined): Buffer {
  const bytes = sent ?? Buffer.alloc(0);
  const end = bytes.indexOf('\r\n\r\n');
  expect(end).toBeGreaterThan(0);
  return bytes.subarray(end + 4);
}

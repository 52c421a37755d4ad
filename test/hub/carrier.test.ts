import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Member } from '#src/core/member.ts';
import { createCarrier } from '#src/hub/openclaw/carrier.ts';
import type { Carrier } from '#src/hub/openclaw/carrier.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { until } from '../support/link.ts';
import { SILENT_LOG, aMember } from '../support/member.ts';
import { closeCode, nextFrame, refusal } from '../support/socket.ts';

const DEVICE = 'd'.repeat(64);
const OTHER_DEVICE = 'e'.repeat(64);

let gateway: FakeGateway;
let member: Member;
let carrier: Carrier;
let devices: string[];
let shut: boolean;
let url: string;
let closeHub: () => Promise<void>;

beforeEach(async () => {
  gateway = await fakeGateway();
  member = aMember();
  devices = [];
  shut = false;
  carrier = createCarrier({
    gatewayUrl: gateway.url,
    authenticate: ({ headers }) => (headers.authorization === 'Bearer good' ? member : null),
    isShut: () => shut,
    onDevice: (_nodeId, deviceId) => void devices.push(deviceId),
    log: SILENT_LOG,
  });
  const hub = createServer((_request, response) => response.writeHead(404).end());
  hub.on('upgrade', carrier.upgrade);
  hub.listen(0, '127.0.0.1');
  await once(hub, 'listening');
  url = `ws://127.0.0.1:${(hub.address() as AddressInfo).port}`;
  closeHub = async () => {
    carrier.close();
    hub.closeAllConnections();
    hub.close();
    await once(hub, 'close');
  };
});

afterEach(async () => {
  await closeHub();
  await gateway.close();
});

const GOOD = { headers: { authorization: 'Bearer good' } };

function dial(path: string = CARRIER_PATH, settings: WebSocket.ClientOptions = GOOD): WebSocket {
  return new WebSocket(url + path, settings);
}

/** A node's connection that the gateway has challenged. */
async function challenged(settings: WebSocket.ClientOptions = {}): Promise<WebSocket> {
  const node = dial(CARRIER_PATH, { ...GOOD, ...settings });
  node.on('error', () => undefined);
  expect(await nextFrame(node)).toContain('connect.challenge');
  return node;
}

/** A node's connection that the gateway has greeted. */
async function greeted(settings: WebSocket.ClientOptions = {}): Promise<WebSocket> {
  const node = await challenged(settings);
  const greeting = nextFrame(node);
  node.send(JSON.stringify(connect()));
  expect(await greeting).toContain('hello-ok');
  return node;
}

function connect(params: object = {}) {
  return {
    type: 'req',
    id: '1',
    method: 'connect',
    params: {
      minProtocol: 4,
      maxProtocol: 4,
      client: { id: 'node-host', version: '2026.9.6', platform: 'linux', mode: 'node' },
      role: 'node',
      scopes: [],
      device: { id: DEVICE, publicKey: 'k', signature: 's', signedAt: 1, nonce: 'n' },
      ...params,
    },
  };
}

describe('who is turned away without a connection to the gateway', () => {
  test.each<[string, number, () => WebSocket]>([
    ['one without a credential', 401, () => dial(CARRIER_PATH, {})],
    ['one with a wrong credential', 401, () => dial(CARRIER_PATH, { headers: { authorization: 'Bearer bad' } })],
    ['one who asks for another path', 404, () => dial('/')],
    ['one who asks for a longer path', 404, () => dial(`${CARRIER_PATH}/healthz`)],
  ])('%s', async (_who, status, ask) => {
    expect(await refusal(ask())).toBe(status);
    expect(gateway.sockets).toHaveLength(0);
  });

  test('a member that offers no node host', async () => {
    member = aMember({ facts: { ...member.facts, offers: ['exec'] } });
    expect(await refusal(dial())).toBe(403);
    expect(gateway.sockets).toHaveLength(0);
  });

  test('a member that was revoked', async () => {
    member = aMember({ revokedAt: 1 });
    expect(await refusal(dial())).toBe(403);
    expect(gateway.sockets).toHaveLength(0);
  });

  test('anyone, while there is no gateway', async () => {
    await gateway.close();
    expect(await refusal(dial())).toBe(502);
  });
});

test('a node host offers what it was granted, and one from before that was asked what it likes', async () => {
  for (const grantedCommands of [['system.run', 'system.which'], null]) {
    member = aMember({ grantedCommands });
    const node = await challenged();
    const greeting = nextFrame(node);
    node.send(JSON.stringify(connect({ commands: ['system.run'] })));
    expect(await greeting).toContain('hello-ok');
    node.terminate();
  }
});

test('while it is shut nothing is carried, and the gateway is not dialled', async () => {
  shut = true;
  expect(await refusal(dial())).toBe(503);
  expect(gateway.requests).toEqual([]);
  shut = false;
  (await greeted()).terminate();
});

describe('what may not be the first frame', () => {
  const { params } = connect();
  test.each<[string, string | Buffer]>([
    ['the connect of an operator', JSON.stringify(connect({ role: 'operator' }))],
    ['a connect without a role', JSON.stringify({ ...connect(), params: { ...params, role: undefined } })],
    ['a connect with scopes', JSON.stringify(connect({ scopes: ['operator.read'] }))],
    [
      'a connect of a client that is no node',
      JSON.stringify(connect({ client: { ...params.client, mode: 'backend' } })),
    ],
    ['a connect that offers more than was granted', JSON.stringify(connect({ commands: ['system.run'] }))],
    ['a connect without a device', JSON.stringify(connect({ device: undefined }))],
    ['a device id that is none', JSON.stringify(connect({ device: { id: '../x' } }))],
    ['another request', JSON.stringify({ type: 'req', id: '1', method: 'node.list', params: {} })],
    ['a connect that is no request', JSON.stringify({ ...connect(), type: 'event' })],
    ['no JSON', 'GET /healthz HTTP/1.1'],
    ['a list', JSON.stringify([connect()])],
    ['a binary frame', Buffer.from(JSON.stringify(connect()))],
    ['a connect that is too large', JSON.stringify(connect({ caps: ['x'.repeat(70_000)] }))],
  ])('%s closes with 1008 and does not reach the gateway', async (_what, frame) => {
    const node = await challenged();
    node.send(frame, { binary: typeof frame !== 'string' });
    node.send(JSON.stringify(connect()));
    expect(await closeCode(node)).toBe(1008);
    await until('the gateway’s end is closed', () => gateway.sockets[0]?.readyState === WebSocket.CLOSED);
    expect(gateway.frames).toEqual([]);
  });
});

test('a node is greeted, and its device becomes known', async () => {
  await greeted();
  expect(JSON.parse(gateway.frames[0] ?? '')).toEqual(connect());
  expect(devices).toEqual([DEVICE]);
});

test('a node host offers commands and nothing beside them', async () => {
  const node = await challenged();
  const greeting = nextFrame(node);
  node.send(JSON.stringify(connect({ modelCatalog: [{ id: 'm' }], workerRuns: {}, computerUse: {} })));
  await greeting;
  expect(JSON.parse(gateway.frames[0] ?? '')).toEqual(connect());
});

test('the gateway reads what was judged, not what was written', async () => {
  const node = await challenged();
  const greeting = nextFrame(node);
  const twice = `{"params":{"role":"operator","scopes":["operator.admin"]},${JSON.stringify(connect()).slice(1)}`;
  node.send(twice);
  await greeting;
  expect(gateway.frames).toEqual([expect.not.stringContaining('operator')]);
});

test('a refused connect makes no device known', async () => {
  gateway.answers.set('connect', () => ({ ok: false, error: { code: 'NOT_PAIRED', message: 'no' } }));
  const node = await challenged();
  const answer = nextFrame(node);
  node.send(JSON.stringify(connect()));
  expect(await answer).toContain('NOT_PAIRED');
  expect(devices).toEqual([]);
});

test('another device than the known one needs a setup code', async () => {
  member = aMember({ openclaw: { deviceId: OTHER_DEVICE, removing: false } });
  const node = await challenged();
  node.send(JSON.stringify(connect()));
  expect(await closeCode(node)).toBe(1008);
  expect(gateway.frames).toEqual([]);

  const coded = await challenged();
  const greeting = nextFrame(coded);
  coded.send(JSON.stringify(connect({ auth: { bootstrapToken: 'b' } })));
  expect(await greeting).toContain('hello-ok');
  expect(devices).toEqual([DEVICE]);
});

test.each<[string, string | Buffer]>([
  ['plain', JSON.stringify(connect({ role: 'operator' }))],
  ['with an escaped letter', JSON.stringify(connect({ role: 'operator' })).replace('"connect"', '"c\\u006fnnect"')],
  ['with a method named twice', `{"method":"node.event",${JSON.stringify(connect({ role: 'operator' })).slice(1)}`],
  ['as a binary frame', Buffer.from(JSON.stringify(connect({ role: 'operator' })))],
  ['of the same role', JSON.stringify(connect())],
])('a second connect, %s, closes with 1008 and does not reach the gateway', async (_how, frame) => {
  const node = await greeted();
  node.send(frame, { binary: typeof frame !== 'string' });
  expect(await closeCode(node)).toBe(1008);
  await until('the gateway’s end is closed', () => gateway.sockets[0]?.readyState === WebSocket.CLOSED);
  expect(gateway.frames).toHaveLength(1);
});

function request(method: string, params: object = {}): string {
  return JSON.stringify({ type: 'req', id: '2', method, params });
}

const RESULT = request('node.invoke.result', {
  id: 'i',
  nodeId: DEVICE,
  ok: true,
  payloadJSON: '"\\u001b \\"connect\\""',
});

test.each<[string, string]>([
  ['the result of a command', RESULT],
  ['the output of a command', request('node.invoke.progress', { invokeId: 'i', nodeId: DEVICE, seq: 0, chunk: 'x' })],
  ['that a run has begun', request('node.event', { event: 'exec.started', payloadJSON: '{}' })],
  ['that a run has ended', request('node.event', { event: 'exec.finished', payloadJSON: '{}' })],
  ['that a run was denied', request('node.event', { event: 'exec.denied', payloadJSON: '{}' })],
])('%s reaches the gateway as it is', async (_what, frame) => {
  const node = await greeted();
  node.send(frame);
  await until('it arrived', () => gateway.frames.length === 2);
  expect(gateway.frames[1]).toBe(frame);
});

test.each<[string, string]>([
  ['a message to an agent', request('node.event', { event: 'agent.request', payloadJSON: '{"message":"x"}' })],
  ['a spoken message', request('node.event', { event: 'voice.transcript', payloadJSON: '{"text":"x"}' })],
  ['an event without a name', request('node.event')],
  ['skills', request('node.skills.update', { skills: [] })],
  ['tools of plugins', request('node.pluginTools.update', { tools: [] })],
  ['an inventory', request('node.runnerInventory.update', {})],
  ['a list of programs', request('skills.bins')],
  ['work that waits', request('node.pending.pull')],
  ['an event that is named twice', request('node.event', { event: 'exec.started' }).replace('}}', ',"event":"x"}}')],
])('%s is answered with a refusal and does not reach the gateway', async (_what, frame) => {
  const node = await greeted();
  const answer = nextFrame(node);
  node.send(frame);
  expect(JSON.parse(await answer)).toMatchObject({
    type: 'res',
    id: '2',
    ok: false,
    error: { code: 'INVALID_REQUEST' },
  });
  node.send(RESULT);
  await until('the next frame arrived', () => gateway.frames.length === 2);
  expect(gateway.frames[1]).toBe(RESULT);
});

test.each<[string, string | Buffer]>([
  ['an answer', JSON.stringify({ type: 'res', id: '2', ok: true })],
  ['an event', JSON.stringify({ type: 'event', event: 'node.invoke.result' })],
  ['no JSON', 'node.invoke.result'],
  ['a list of requests', `[${RESULT}]`],
  ['a binary frame', Buffer.from(RESULT)],
])('%s closes with 1008 and does not reach the gateway', async (_what, frame) => {
  const node = await greeted();
  node.send(frame, { binary: typeof frame !== 'string' });
  expect(await closeCode(node)).toBe(1008);
  await until('the gateway’s end is closed', () => gateway.sockets[0]?.readyState === WebSocket.CLOSED);
  expect(gateway.frames).toHaveLength(1);
});

test('a ping is answered by the node and by nobody between', async () => {
  const node = await greeted({ autoPong: false });
  const far = gateway.sockets[0]!;
  const pongs: string[] = [];
  far.on('pong', (data) => void pongs.push(data.toString()));
  const heard = once(node, 'ping');
  far.ping('are you there');
  expect(String((await heard)[0])).toBe('are you there');

  // A frame that was sent after an answer would come after it.
  node.send(RESULT);
  await until('the frame arrived', () => gateway.frames.length === 2);
  expect(pongs).toEqual([]);
  node.pong('yes');
  await until('the answer arrived', () => pongs.length > 0);
  expect(pongs).toEqual(['yes']);
});

test('the end of either passes to the other with its code', async () => {
  const node = await greeted();
  const left = closeCode(node);
  gateway.sockets[0]?.close(4001, 'device removed');
  expect(await left).toBe(4001);

  const another = await greeted();
  const told = closeCode(gateway.sockets[1]!);
  another.close(1000);
  expect(await told).toBe(1000);
});

test('a member’s connections end when it is put out', async () => {
  const node = await greeted();
  const ended = closeCode(node);
  carrier.closeFor(member.id);
  await ended;
  await until('the gateway’s end is closed', () => gateway.sockets[0]?.readyState === WebSocket.CLOSED);
});

test('of too many connections of one member the oldest ends', async () => {
  const nodes = [await greeted(), await greeted(), await greeted(), await greeted()];
  const ended = closeCode(nodes[0]!);
  await greeted();
  await ended;
  expect(nodes.slice(1).map((node) => node.readyState)).toEqual(Array(3).fill(WebSocket.OPEN));
});

test('a node that does not read holds the gateway back, and gets every byte in the end', async () => {
  const node = await greeted();
  const far = gateway.sockets[0]!;
  const sent = 64;
  node.pause();
  for (let number = 0; number < sent; number++) far.send(Buffer.alloc(1_048_576, number));
  let waiting = -1;
  let unchanged = 0;
  await until('the gateway’s writes stand still', () => {
    unchanged = far.bufferedAmount === waiting ? unchanged + 1 : 0;
    waiting = far.bufferedAmount;
    return unchanged > 50;
  });
  // The rest is in the buffers of four kernel sockets and the little that the carrier holds.
  expect(waiting).toBeGreaterThan(24 * 1_048_576);

  const received: number[] = [];
  node.on('message', (data: Buffer) => void received.push(data[data.length - 1] ?? -1));
  node.resume();
  await until('all arrived', () => received.length === sent);
  expect(received).toEqual(Array.from({ length: sent }, (_, number) => number));
});

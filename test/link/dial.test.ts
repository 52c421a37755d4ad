import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { Admission } from '#src/link/accept.ts';
import { keepLink } from '#src/link/dial.ts';
import type { KeyPair } from '#src/link/key.ts';
import { verifySignature } from '#src/link/key.ts';
import { transcriptText } from '#src/protocol/handshake.ts';
import type { RawPeer, TestNode, TestNodeOptions } from '../support/link.ts';
import {
  CREDENTIAL,
  SECRET,
  expectNoSockets,
  facts,
  newKey,
  rawPeer,
  startHub,
  startNode,
  startProxy,
  until,
} from '../support/link.ts';

beforeEach(() => onTestFinished(expectNoSockets));

function nodeFor(hub: { port: number; key: KeyPair }, options: TestNodeOptions = {}): TestNode {
  const node = startNode(hub, options);
  onTestFinished(() => node.stop());
  return node;
}

async function hubFor(options: Parameters<typeof startHub>[0] = {}) {
  const hub = await startHub(options);
  onTestFinished(() => hub.close());
  return hub;
}

/** A hub that is played by hand: its peers, and everything that nodes said to it. */
async function playedHub(answer: (peer: RawPeer, host: string) => Promise<void>) {
  const key = newKey();
  const heard: string[] = [];
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on('upgrade', (request, socket: Socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => heard.push(chunk.toString()));
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: openclaw-federation\r\n\r\n');
    void answer(rawPeer(socket), request.headers.host ?? '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { key, port: (server.address() as AddressInfo).port, heard };
}

/** The hub's challenge for `hello`, signed by `signer` in the name of `key`. */
function challengeFor(hello: Record<string, unknown>, host: string, key: KeyPair, signer = key, version = 1) {
  const hubNonce = 'h'.repeat(42) + 'A';
  const transcript = {
    version,
    offered: hello['versions'] as number[],
    host,
    nodeKey: String(hello['key']),
    hubKey: key.publicKey,
    nodeNonce: String(hello['nonce']),
    hubNonce,
  };
  const signature = signer.sign(transcriptText('hub', transcript));
  return { transcript, line: { type: 'challenge', version, key: key.publicKey, nonce: hubNonce, signature } };
}

test('a node meets its hub, gives it the secret, and serves streams after it has taken the welcome', async () => {
  const order: string[] = [];
  const taken = Promise.withResolvers<void>();
  const secrets: (string | null)[] = [];
  const hub = await hubFor({
    admit(applicant) {
      secrets.push(applicant.secret);
      return Promise.resolve({ link: 1, credential: CREDENTIAL });
    },
  });
  const node = nodeFor(hub, {
    secret: () => SECRET,
    async onWelcome(welcome, hubId) {
      expect(welcome).toMatchObject({ epoch: 7, link: 1, credential: CREDENTIAL });
      expect(hubId).toBe(hub.key.id);
      await taken.promise;
      order.push('welcome taken');
    },
    onStream(stream) {
      order.push('stream');
      stream.respond({ ':status': 200 });
      stream.end();
    },
  });
  const link = await hub.link();
  const request = link.request({ ':path': '/early' });
  setTimeout(() => taken.resolve(), 30);
  await once(request.resume(), 'end');
  expect(order).toEqual(['welcome taken', 'stream']);
  expect(secrets).toEqual([SECRET]);
  expect(node.events.map((event) => event.type)).toEqual(['connecting', 'welcome']);
});

test('a hub with another key hears neither a proof nor the secret', async () => {
  const impostor = await playedHub(async (peer, host) => {
    const hello = await peer.line();
    if (hello !== null) peer.send(challengeFor(hello, host, impostor.key).line);
  });
  const node = nodeFor({ port: impostor.port, key: newKey() }, { secret: () => SECRET });
  await until('a refusal', () => node.saw('refused'));
  expect(node.events.at(-1)).toMatchObject({ type: 'refused', error: { code: 'HUB_KEY_MISMATCH' } });
  await node.stop();
  const said = impostor.heard.join('');
  expect(said).toContain('hello');
  expect(said).not.toContain('proof');
  expect(said).not.toContain(SECRET);
});

test('a machine that only knows the hub’s public key hears neither', async () => {
  const known = newKey();
  const impostor = await playedHub(async (peer, host) => {
    const hello = await peer.line();
    if (hello !== null) peer.send(challengeFor(hello, host, known, newKey()).line);
  });
  const node = nodeFor({ port: impostor.port, key: known }, { secret: () => SECRET });
  await until('a loss', () => node.saw('lost'));
  expect(node.events.at(-1)).toMatchObject({ error: { code: 'HANDSHAKE_FAILED' } });
  await node.stop();
  expect(impostor.heard.join('')).not.toContain('proof');
  expect(impostor.heard.join('')).not.toContain(SECRET);
});

test('a machine in the middle that passes the handshake on under another name is noticed', async () => {
  const impostor = await playedHub(async (peer) => {
    const hello = await peer.line();
    if (hello !== null) peer.send(challengeFor(hello, 'the-real-hub:19000', impostor.key).line);
  });
  const node = nodeFor(impostor, { secret: () => SECRET });
  await until('a loss', () => node.saw('lost'));
  await node.stop();
  expect(impostor.heard.join('')).not.toContain('proof');
});

test('a version that was not offered is not taken', async () => {
  const hub = await playedHub(async (peer, host) => {
    const hello = await peer.line();
    if (hello !== null) peer.send(challengeFor(hello, host, hub.key, hub.key, 2).line);
  });
  const node = nodeFor(hub);
  await until('a loss', () => node.saw('lost'));
  expect(node.events.at(-1)).toMatchObject({ error: { code: 'HANDSHAKE_FAILED' } });
  await node.stop();
  expect(hub.heard.join('')).not.toContain('proof');
});

test('without a pin the first hub is taken and reported, and no secret is given to it', async () => {
  const hub = await hubFor({
    admit(applicant) {
      expect(applicant.secret).toBeNull();
      applicant.wait(null);
      return Promise.resolve({ link: 1, credential: CREDENTIAL });
    },
  });
  const node = nodeFor(hub, { pin: () => null, secret: () => SECRET });
  await until('a welcome', () => node.saw('welcome'));
  expect(node.events).toMatchObject([
    { type: 'connecting' },
    { type: 'waiting', held: null, hubId: hub.key.id },
    { type: 'welcome', hubId: hub.key.id },
  ]);
  expect(hub.faults).toEqual([]);
});

test('a node signs exactly what both sides said', async () => {
  const nodeKey = newKey();
  let verified: boolean | null = null;
  const hub = await playedHub(async (peer, host) => {
    const hello = await peer.line();
    if (hello === null) return;
    const { transcript, line } = challengeFor(hello, host, hub.key);
    peer.send(line);
    const proof = await peer.line();
    const text = transcriptText('node', transcript);
    verified = verifySignature(nodeKey.publicKey, text, String(proof?.['signature']));
  });
  nodeFor(hub, { key: nodeKey });
  await until('a proof', () => verified !== null);
  expect(verified).toBe(true);
});

test('a hub that knows the node by its next key is met with that at once', async () => {
  const [old, next] = [newKey(), newKey()];
  const hub = await hubFor({
    admit: ({ nodeId }) =>
      nodeId === next.id
        ? Promise.resolve({ link: 2, credential: CREDENTIAL })
        : Promise.reject(new FederationError('KEY_ROTATED', 'this node has another key by now')),
  });
  let key = old;
  const events: string[] = [];
  const stopping = new AbortController();
  const kept = keepLink({
    hub: { host: '127.0.0.1', port: hub.port },
    key: () => key,
    pin: () => hub.key.id,
    facts: () => facts(),
    secret: () => null,
    onWelcome: () => Promise.resolve(),
    onStream: () => undefined,
    onEvent: ({ type }) => void events.push(type),
    onKeyRotated: async () => void (key = next),
    signal: stopping.signal,
  });
  onTestFinished(async () => {
    stopping.abort();
    await kept;
  });
  expect(await hub.link()).toMatchObject({ nodeId: next.id });
  expect(events.slice(0, 2)).toEqual(['connecting', 'connecting']);
});

test('what has not proved to be the hub brings no node to another key', async () => {
  const impostor = await playedHub(async (peer) => {
    await peer.line();
    peer.send({ type: 'refused', code: 'KEY_ROTATED', message: 'this node has another key by now' });
  });
  let rotated = 0;
  const node = nodeFor(impostor, { onKeyRotated: async () => void (rotated += 1) });
  await until('a refusal', () => node.saw('refused'));
  expect(node.events.at(-1)).toMatchObject({ type: 'refused', error: { code: 'KEY_ROTATED' }, proven: false });
  expect(rotated).toBe(0);
});

test('approval reaches a waiting node at once, on the connection that it waits on', async () => {
  const decision = Promise.withResolvers<Admission>();
  const hub = await hubFor({
    handshakeMs: 400,
    admit(applicant) {
      applicant.wait('because');
      return decision.promise;
    },
  });
  const node = nodeFor(hub, { handshakeMs: 400 });
  await until('waiting', () => node.saw('waiting'));
  // longer than the deadline of either side
  await new Promise((resolve) => setTimeout(resolve, 900));
  decision.resolve({ link: 1, credential: CREDENTIAL });
  await until('a welcome', () => node.saw('welcome'));
  expect(node.events.map((event) => event.type)).toEqual(['connecting', 'waiting', 'welcome']);
});

test('a node that waited, or was refused by a person’s decision, is patient; one that lost its hub is not', async () => {
  const refused = await hubFor({ admit: () => Promise.reject(new FederationError('REVOKED', 'revoked')) });
  const revoked = nodeFor(refused);
  await until('a refusal', () => revoked.saw('refused'));

  const waited = await startHub({
    admit(applicant) {
      applicant.wait(null);
      return new Promise(() => undefined);
    },
  });
  const waiting = nodeFor(waited);
  await until('waiting', () => waiting.saw('waiting'));
  await waited.close();
  await until('a loss', () => waiting.saw('lost'));
  const lost = waiting.events.at(-1);
  expect(lost?.type === 'lost' && lost.retryInMs).toBeGreaterThan(40_000);

  const unreachable = nodeFor({ port: waited.port, key: waited.key });
  await until('some attempts', () => unreachable.events.filter((event) => event.type === 'lost').length >= 3);
  expect(unreachable.events[1]).toMatchObject({ type: 'lost', error: { code: 'HUB_UNREACHABLE' } });
  expect(revoked.events.map((event) => event.type)).toEqual(['connecting', 'refused']);
});

test('a fault of the hub is met again soon', async () => {
  let attempts = 0;
  const hub = await hubFor({
    admit() {
      attempts += 1;
      return attempts < 3 ? Promise.reject(new Error('broken')) : Promise.resolve({ link: 1, credential: CREDENTIAL });
    },
  });
  const node = nodeFor(hub);
  await until('a welcome', () => node.saw('welcome'));
  expect(node.events.filter((event) => event.type === 'refused')).toHaveLength(2);
  expect(hub.faults).toHaveLength(2);
});

test('a hub that is older than the one before is dropped and asked again', async () => {
  const hub = await hubFor();
  const node = nodeFor(hub, { onWelcome: () => Promise.reject(new FederationError('EPOCH_STALE', 'an older master')) });
  await until('two attempts', () => node.events.filter((event) => event.type === 'lost').length >= 2);
  expect(node.events.some((event) => event.type === 'lost' && event.error.code === 'EPOCH_STALE')).toBe(true);
  expect(node.saw('welcome')).toBe(false);
  const link = await hub.link();
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
});

test('a failure to take the welcome loses the link and not the daemon', async () => {
  const hub = await hubFor();
  const node = nodeFor(hub, { onWelcome: () => Promise.reject(new Error('disk full')) });
  await until('a loss', () => node.saw('lost'));
  expect(node.events.find((event) => event.type === 'lost')).toMatchObject({ error: { code: 'INTERNAL' } });
});

test.each([
  ['says nothing after the upgrade', () => Promise.resolve()],
  ['talks garbage', (peer: RawPeer) => Promise.resolve(void peer.socket.write('garbage\n'))],
  ['talks without end', (peer: RawPeer) => Promise.resolve(void peer.socket.write('x'.repeat(1 << 20)))],
  ['closes', (peer: RawPeer) => Promise.resolve(void peer.socket.end())],
  ['welcomes before any proof', (peer: RawPeer) => Promise.resolve(peer.send({ type: 'welcome', epoch: 1 }))],
])('a hub that %s is left and tried again', async (_name, answer) => {
  const hub = await playedHub(answer);
  const node = nodeFor(hub, { handshakeMs: 50 });
  await until('two attempts', () => node.events.filter((event) => event.type === 'lost').length >= 2);
  expect(node.saw('welcome')).toBe(false);
});

test('another server in the hub’s place is left and tried again', async () => {
  const server = createServer((_request, response) => void response.writeHead(404).end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const node = nodeFor({ port: (server.address() as AddressInfo).port, key: newKey() });
  await until('two attempts', () => node.events.filter((event) => event.type === 'lost').length >= 2);
  expect(node.events[1]).toMatchObject({ error: { code: 'HANDSHAKE_FAILED' } });
});

test('HTTP/2 that comes in one packet with the welcome is not lost', async () => {
  const hub = await hubFor();
  let together = Buffer.alloc(0);
  let passed = false;
  const proxy = await startProxy(hub.port, {
    fromHub(chunk, node) {
      together = Buffer.concat([together, chunk]);
      passed ||= !together.includes('"welcome"') || together.includes('PRI * HTTP/2.0');
      if (!passed) return;
      node.write(together);
      passed = together.includes('PRI * HTTP/2.0');
      together = Buffer.alloc(0);
    },
  });
  onTestFinished(() => proxy.close());
  nodeFor({ port: proxy.port, key: hub.key });
  const link = await hub.link();
  const request = link.request({ ':path': '/' });
  await once(request.resume(), 'end');
  expect(request.rstCode).toBe(0);
});

test('a handshake that arrives byte by byte is understood', async () => {
  const hub = await hubFor();
  const proxy = await startProxy(hub.port, {
    fromHub(chunk, node) {
      for (const byte of chunk) node.write(Buffer.of(byte));
    },
  });
  onTestFinished(() => proxy.close());
  nodeFor({ port: proxy.port, key: hub.key });
  const link = await hub.link();
  const request = link.request({ ':path': '/' });
  await once(request.resume(), 'end');
  expect(request.rstCode).toBe(0);
});

test.each(['connecting', 'waiting', 'welcome', 'lost'] as const)('a node stops at once while %s', async (type) => {
  const hub = await hubFor({
    admit(applicant) {
      if (type !== 'waiting') return Promise.resolve({ link: 1, credential: CREDENTIAL });
      applicant.wait(null);
      return new Promise(() => undefined);
    },
  });
  const port = type === 'lost' ? 1 : hub.port;
  const node = startNode({ port, key: hub.key }, { backOff: { minMs: 60_000, maxMs: 60_000, patientMs: 60_000 } });
  await until(type, () => node.saw(type));
  await node.stop();
  await expectNodeGone(hub.server);
});

async function expectNodeGone(server: {
  getConnections(callback: (error: Error | null, count: number) => void): void;
}) {
  let open = -1;
  await until('the node’s connection closed', () => {
    server.getConnections((_error, count) => (open = count));
    return open === 0;
  });
  expect(open).toBe(0);
}

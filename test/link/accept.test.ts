import { connect as connectTcp } from 'node:net';
import { connect as connectHttp2 } from 'node:http2';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { AcceptOptions, Applicant } from '#src/link/accept.ts';
import type { KeyPair } from '#src/link/key.ts';
import { verifySignature } from '#src/link/key.ts';
import { HANDSHAKE_LINE_BYTES, transcriptText } from '#src/protocol/handshake.ts';
import type { RawPeer, TestHub } from '../support/link.ts';
import { CREDENTIAL, expectNoSockets, facts, knockByHand, newKey, startHub, until } from '../support/link.ts';

beforeEach(() => onTestFinished(expectNoSockets));

async function hubFor(options: Partial<AcceptOptions> = {}): Promise<TestHub> {
  const hub = await startHub(options);
  onTestFinished(() => hub.close());
  return hub;
}

const HOST = 'hub.test:19000';
const NONCE = 'n'.repeat(42) + 'A';

function hello(key: KeyPair, versions: readonly number[] = [1]) {
  return { type: 'hello', versions, key: key.publicKey, nonce: NONCE };
}

function transcriptOf(key: KeyPair, challenge: Record<string, unknown>, versions: readonly number[] = [1]) {
  return {
    version: Number(challenge['version']),
    offered: versions,
    host: HOST,
    nodeKey: key.publicKey,
    hubKey: String(challenge['key']),
    nodeNonce: NONCE,
    hubNonce: String(challenge['nonce']),
  };
}

function proof(key: KeyPair, challenge: Record<string, unknown>, versions: readonly number[] = [1]) {
  const signature = key.sign(transcriptText('node', transcriptOf(key, challenge, versions)));
  return { type: 'proof', signature, facts: facts() };
}

/** Up to the hub's challenge. */
async function meet(hub: TestHub, key: KeyPair, versions?: readonly number[], localAddress?: string) {
  const peer = await knockByHand(hub.port, {}, '', localAddress);
  expect(await peer.status()).toBe(101);
  peer.send(hello(key, versions));
  const challenge = await peer.line();
  if (challenge === null) throw new Error('no challenge');
  return { peer, challenge };
}

async function gone(peer: RawPeer): Promise<void> {
  await until('the connection closed', () => peer.socket.closed);
}

test('a node that proves its key is admitted with its facts, its address and the hub’s epoch', async () => {
  const applicants: Applicant[] = [];
  const key = newKey();
  const hub = await hubFor({
    admit(applicant) {
      applicants.push(applicant);
      return Promise.resolve({ link: 4, credential: CREDENTIAL });
    },
  });
  const { peer, challenge } = await meet(hub, key);
  peer.send({ ...proof(key, challenge), secret: NONCE });
  expect(await peer.line()).toEqual({
    type: 'welcome',
    epoch: 7,
    link: 4,
    credential: CREDENTIAL,
    heartbeatSeconds: 5,
  });
  expect(applicants[0]).toMatchObject({
    nodeId: key.id,
    publicKey: key.publicKey,
    facts: facts(),
    address: '127.0.0.1',
    secret: NONCE,
  });
  const link = await hub.link();
  expect(link).toMatchObject({ nodeId: key.id, generation: 4, facts: facts(), address: '127.0.0.1', state: 'online' });
  peer.socket.destroy();
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
  await until('the applicant is known to be gone', () => applicants[0]!.signal.aborted);
});

test('the hub proves its own key over what both sides said and over the name that was dialled', async () => {
  const key = newKey();
  const hub = await hubFor();
  const { peer, challenge } = await meet(hub, key);
  const transcript = transcriptOf(key, challenge);
  const signature = String(challenge['signature']);
  expect(verifySignature(hub.key.publicKey, transcriptText('hub', transcript), signature)).toBe(true);
  const elsewhere = transcriptText('hub', { ...transcript, host: 'other.test:19000' });
  expect(verifySignature(hub.key.publicKey, elsewhere, signature)).toBe(false);
  peer.socket.destroy();
});

test('a signature of another key is refused and nobody is asked to admit it', async () => {
  let asked = 0;
  const hub = await hubFor({
    admit() {
      asked += 1;
      return Promise.resolve({ link: 1, credential: CREDENTIAL });
    },
  });
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  peer.send({ ...proof(key, challenge), signature: proof(newKey(), challenge).signature });
  expect(await peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(peer);
  expect(asked).toBe(0);
});

test('a proof that was overheard is worth nothing on another connection', async () => {
  const hub = await hubFor();
  const key = newKey();
  const first = await meet(hub, key);
  const overheard = proof(key, first.challenge);
  first.peer.send(overheard);
  expect(await first.peer.line()).toMatchObject({ type: 'welcome' });
  const second = await meet(hub, key);
  second.peer.send(overheard);
  expect(await second.peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(second.peer);
  first.peer.socket.destroy();
});

test('a wrong Upgrade header is answered in plain HTTP and closed', async () => {
  const hub = await hubFor();
  const peer = await knockByHand(hub.port, { Upgrade: 'websocket' });
  expect(await peer.status()).toBe(400);
  await gone(peer);
  expect(JSON.parse(peer.rest())).toHaveProperty('code');
});

test('the longest line that is allowed passes and a longer one does not', async () => {
  const hub = await hubFor();
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  const line = JSON.stringify(proof(key, challenge));
  peer.socket.write(`${line}${' '.repeat(HANDSHAKE_LINE_BYTES - line.length)}\n`);
  expect(await peer.line()).toMatchObject({ type: 'welcome' });
  peer.socket.destroy();

  const other = await meet(hub, key);
  const long = JSON.stringify(proof(key, other.challenge));
  other.peer.socket.write(`${long}${' '.repeat(HANDSHAKE_LINE_BYTES - long.length + 1)}\n`);
  expect(await other.peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(other.peer);
});

test('a line without an end is cut at the limit', async () => {
  const hub = await hubFor();
  const peer = await knockByHand(hub.port);
  expect(await peer.status()).toBe(101);
  peer.socket.write('x'.repeat(64 * HANDSHAKE_LINE_BYTES));
  await gone(peer);
});

test.each([
  ['no JSON', 'hello\n'],
  ['JSON of another shape', '{"type":"hello"}\n'],
  ['an unknown type', '{"type":"proof"}\n'],
  ['bytes', '\x00\xff\x16\x03\x01\n'],
])('%s instead of a hello is refused', async (_name, text) => {
  const hub = await hubFor();
  const peer = await knockByHand(hub.port);
  expect(await peer.status()).toBe(101);
  peer.socket.write(text);
  expect(await peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(peer);
  expect(hub.faults).toEqual([]);
});

test('a key that is no key is refused', async () => {
  const hub = await hubFor();
  const key: KeyPair = { ...newKey(), publicKey: '_'.repeat(43) };
  const { peer, challenge } = await meet(hub, key);
  peer.send(proof(key, challenge));
  expect(await peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(peer);
});

test('a node that says nothing, or not enough, is closed at the deadline', async () => {
  const hub = await hubFor({ handshakeMs: 50 });
  const silent = await knockByHand(hub.port);
  const { peer } = await meet(hub, newKey());
  await gone(silent);
  await gone(peer);
  expect(hub.links).toEqual([]);
});

test('a hub that cannot decide in time lets the node go', async () => {
  const applicants: Applicant[] = [];
  const hub = await hubFor({
    handshakeMs: 50,
    admit(applicant) {
      applicants.push(applicant);
      return new Promise(() => undefined);
    },
  });
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  peer.send(proof(key, challenge));
  expect(await peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(peer);
  await until('the applicant is known to be gone', () => applicants[0]!.signal.aborted);
});

test('a node that has gone before it was admitted makes no link', async () => {
  const decision = Promise.withResolvers<{ link: number; credential: string }>();
  const applicants: Applicant[] = [];
  const hub = await hubFor({
    admit(applicant) {
      applicants.push(applicant);
      applicant.wait(null);
      return decision.promise;
    },
  });
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  peer.send(proof(key, challenge));
  expect(await peer.line()).toEqual({ type: 'waiting', held: null });
  peer.socket.end();
  await until('the applicant is known to be gone', () => applicants[0]!.signal.aborted);
  decision.resolve({ link: 1, credential: CREDENTIAL });
  await decision.promise;
  await new Promise((resolve) => setImmediate(resolve));
  expect(hub.links).toEqual([]);
});

test('who waits may wait longer than the handshake and is welcomed on the same connection', async () => {
  const decision = Promise.withResolvers<{ link: number; credential: string }>();
  const hub = await hubFor({
    handshakeMs: 50,
    admit(applicant) {
      applicant.wait('the name w1 is taken');
      return decision.promise;
    },
  });
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  peer.send(proof(key, challenge));
  expect(await peer.line()).toEqual({ type: 'waiting', held: 'the name w1 is taken' });
  const idle = await knockByHand(hub.port);
  await gone(idle);
  expect(peer.socket.closed).toBe(false);
  decision.resolve({ link: 1, credential: CREDENTIAL });
  expect(await peer.line()).toMatchObject({ type: 'welcome', link: 1 });
  peer.socket.destroy();
});

test('a refusal carries its words, and a bug of ours none', async () => {
  let thrown: Error = new FederationError('REVOKED', 'this node was revoked', { hint: 'ask the operator' });
  const hub = await hubFor({ admit: () => Promise.reject(thrown) });
  const key = newKey();
  const revoked = await meet(hub, key);
  revoked.peer.send(proof(key, revoked.challenge));
  const words = { type: 'refused', code: 'REVOKED', message: 'this node was revoked', hint: 'ask the operator' };
  expect(await revoked.peer.line()).toEqual(words);
  await gone(revoked.peer);
  expect(hub.faults).toEqual([]);

  thrown = new TypeError('secret detail');
  const failed = await meet(hub, key);
  failed.peer.send(proof(key, failed.challenge));
  expect(await failed.peer.line()).toEqual({ type: 'refused', code: 'INTERNAL', message: 'internal error' });
  await gone(failed.peer);
  expect(hub.faults).toEqual([thrown]);
});

test('connections that prove nothing are capped, and what is over the cap goes at the cost of their own source', async () => {
  const hub = await hubFor({ unprovenMax: 2 });
  const idle = [await knockByHand(hub.port), await knockByHand(hub.port)];
  for (const peer of idle) expect(await peer.status()).toBe(101);
  const key = newKey();
  const newcomer = await meet(hub, key);
  // One of the idle ones made room for it.
  await Promise.race(idle.map(gone));
  newcomer.peer.send(proof(key, newcomer.challenge));
  expect(await newcomer.peer.line()).toMatchObject({ type: 'welcome' });
  for (const peer of [newcomer.peer, ...idle]) peer.socket.destroy();
});

test('a source that holds all idle connections cannot keep a newcomer from another one out', async () => {
  const hub = await hubFor({ unprovenMax: 8 });
  const flood = await Promise.all(Array.from({ length: 32 }, () => knockByHand(hub.port)));
  const key = newKey();
  const newcomer = await meet(hub, key, undefined, '127.0.0.2');
  const more = await Promise.all(Array.from({ length: 32 }, () => knockByHand(hub.port)));
  newcomer.peer.send(proof(key, newcomer.challenge));
  expect(await newcomer.peer.line()).toMatchObject({ type: 'welcome' });
  for (const peer of [newcomer.peer, ...flood, ...more]) peer.socket.destroy();
});

test('a hello that comes with the upgrade request is not lost', async () => {
  const hub = await hubFor();
  const key = newKey();
  const peer = await knockByHand(hub.port, {}, `${JSON.stringify(hello(key))}\n`);
  expect(await peer.status()).toBe(101);
  expect(await peer.line()).toMatchObject({ type: 'challenge' });
  peer.socket.destroy();
});

test.each([
  ['the same versions', [2, 1], [2, 1], 2],
  ['a node that is one behind', [2, 1], [1], 1],
  ['a hub that is one behind', [1], [2, 1], 1],
])('%s meet at the newest that both speak', async (_name, versions, offered, chosen) => {
  const hub = await hubFor({ versions });
  const key = newKey();
  const { peer, challenge } = await meet(hub, key, offered);
  expect(challenge['version']).toBe(chosen);
  peer.send(proof(key, challenge, offered));
  expect(await peer.line()).toMatchObject({ type: 'welcome' });
  peer.socket.destroy();
});

test('no common version is said before anything is proved', async () => {
  const hub = await hubFor({ versions: [3, 2] });
  const { peer, challenge } = await meet(hub, newKey(), [1]);
  expect(challenge).toMatchObject({
    type: 'refused',
    code: 'VERSION_UNSUPPORTED',
    hint: 'upgrade openclaw-federation on the node',
  });
  await gone(peer);
});

test('an offer that was shortened on the way is noticed', async () => {
  const hub = await hubFor({ versions: [2, 1] });
  const key = newKey();
  const { peer, challenge } = await meet(hub, key, [1]);
  peer.send(proof(key, challenge, [2, 1]));
  expect(await peer.line()).toMatchObject({ type: 'refused', code: 'HANDSHAKE_FAILED' });
  await gone(peer);
});

test('bytes that come with the last line belong to HTTP/2, and garbage there ends the link with its cause', async () => {
  const hub = await hubFor();
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  peer.socket.write(`${JSON.stringify(proof(key, challenge))}\nthis is not HTTP/2 at all, by no means\n`);
  const link = await hub.link();
  expect(await link.closed).toMatchObject({ code: 'LINK_LOST' });
  await gone(peer);
});

test('a hub that stops closes links, waiting nodes and strangers', async () => {
  const hub = await startHub({
    admit(applicant) {
      if (applicant.facts.name === 'w1') applicant.wait(null);
      return new Promise(() => undefined);
    },
  });
  const stranger = await knockByHand(hub.port);
  const key = newKey();
  const { peer, challenge } = await meet(hub, key);
  peer.send(proof(key, challenge));
  expect(await peer.line()).toMatchObject({ type: 'waiting' });
  await hub.close();
  await gone(stranger);
  await gone(peer);
});

test('an HTTP/2 client and a plain connection that knock at the hub get no link', async () => {
  const hub = await hubFor();
  const session = connectHttp2(`http://127.0.0.1:${hub.port}`);
  await new Promise((resolve) => session.once('error', resolve));
  const socket = connectTcp(hub.port, '127.0.0.1');
  socket.end('\n');
  await new Promise((resolve) => socket.resume().once('close', resolve));
  expect(hub.links).toEqual([]);
});

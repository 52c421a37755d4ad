import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Welcome } from '#src/protocol/handshake.ts';
import { keyChangeText } from '#src/protocol/node-key.ts';
import type { BareNode } from '../support/bare-node.ts';
import { bareNode } from '../support/bare-node.ts';
import { eventually } from '../support/eventually.ts';
import type { FakeGateway } from '../support/fake-gateway.ts';
import { fakeGateway } from '../support/fake-gateway.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import { newKey } from '../support/link.ts';

let gateway: FakeGateway;
let federation: Federation;
let node: BareNode;
let welcome: Welcome;
let minted: number;
let secrets: string;

beforeEach(async () => {
  gateway = await fakeGateway();
  minted = 0;
  gateway.answers.set('device.pair.setupCode', () => {
    minted += 1;
    const payload = { setupCode: 'code', setupId: 's1', expiresAtMs: Date.now() + 60_000, access: 'node' };
    return { ok: true, payload };
  });
  secrets = await mkdtemp(join(tmpdir(), 'ocf-token-'));
  const tokenFile = join(secrets, 'token');
  await writeFile(tokenFile, 'secret');
  federation = await startFederation({ hub: { gateway: { url: gateway.url, tokenFile } } });
  const offers = ['exec', 'node-host'] as const;
  node = bareNode(federation.hub, { name: 'pi', offers, token: await federation.token({}) });
  welcome = await node.welcome();
});

afterEach(async () => {
  await node.stop();
  await federation[Symbol.asyncDispose]();
  await gateway.close();
  await rm(secrets, { recursive: true });
});

interface Late {
  /** Sends the rest of the body; resolves with the head of the answer. */
  readonly finish: () => Promise<string>;
}

/** A request of the node, of which the hub has the head and half of the body. */
async function begin(path: string, body: object): Promise<Late> {
  const text = JSON.stringify(body);
  const socket: Socket = connect({ host: '127.0.0.1', port: federation.hub.port });
  await once(socket, 'connect');
  let answer = '';
  socket.on('data', (data) => (answer += data.toString()));
  // Asked to go on once the head was read: by then the hub knows who asks.
  socket.write(
    `POST /api/v1${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${welcome.credential}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${text.length}\r\nExpect: 100-continue\r\n\r\n`,
  );
  await eventually('the head was read', () => answer.includes('100 Continue'));
  socket.write(text.slice(0, 5));
  return {
    async finish() {
      answer = '';
      socket.write(text.slice(5));
      await eventually('an answer', () => answer.includes('\r\n\r\n') || null);
      socket.destroy();
      return answer;
    },
  };
}

async function changeTo(next = newKey()) {
  const { publicKey } = next;
  const text = keyChangeText({ hubId: federation.hub.hubId, nodeId: node.key.id, publicKey, link: welcome.link });
  return begin('/node/key', { publicKey, signature: next.sign(text) });
}

const ids = async () => (await federation.nodes()).map(({ id }) => id);

test('a node that was revoked before its body came gets no setup code', async () => {
  const late = await begin('/node-host/setup-code', { carrierPort: 1234 });
  await federation.post('/nodes/pi/revoke');
  expect(await late.finish()).toContain(' 401 ');
  expect(minted).toBe(0);
});

test('during a lockdown nobody gets a setup code, and afterwards again', async () => {
  await federation.post('/lockdown', {});
  const denied = await begin('/node-host/setup-code', { carrierPort: 1234 });
  expect(await denied.finish()).toContain('LOCKED_DOWN');
  expect(minted).toBe(0);
  await federation.post('/lockdown/lift');
  const granted = await begin('/node-host/setup-code', { carrierPort: 1234 });
  expect(await granted.finish()).toContain(' 200 ');
});

test('a change of a key from before a revocation is worth nothing after the node was taken back', async () => {
  const late = await changeTo();
  await federation.post('/nodes/pi/revoke');
  await federation.approve(node.key.id);
  expect(await late.finish()).toContain(' 401 ');
  expect(await ids()).toEqual([node.key.id]);
});

test('a change of a key that was signed on a link that is replaced by now is refused', async () => {
  const late = await changeTo();
  await using newer = bareNode(federation.hub, { name: 'pi', key: node.key });
  await newer.welcome();
  await node.stop();
  expect(await late.finish()).toContain(' 403 ');
  expect(await ids()).toEqual([node.key.id]);
});

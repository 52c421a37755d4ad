import { afterEach, beforeEach, expect, test } from 'vitest';
import type { KeyPair } from '#src/link/key.ts';
import type { Welcome } from '#src/protocol/handshake.ts';
import type { KeyChange } from '#src/protocol/node-key.ts';
import { keyChangeText } from '#src/protocol/node-key.ts';
import type { BareNode } from '../support/bare-node.ts';
import { bareNode } from '../support/bare-node.ts';
import type { Federation } from '../support/federation.ts';
import { startFederation } from '../support/federation.ts';
import type { Answer } from '../support/http.ts';
import { ask } from '../support/http.ts';
import { newKey } from '../support/link.ts';

let federation: Federation;
let node: BareNode;
let welcome: Welcome;

beforeEach(async () => {
  federation = await startFederation();
  node = bareNode(federation.hub, { name: 'pi', token: await federation.token({}) });
  welcome = await node.welcome();
});

afterEach(async () => {
  await node.stop();
  await federation[Symbol.asyncDispose]();
});

/** What `next` would sign, but for what a test makes of it. */
function change(next: KeyPair, other: Partial<KeyChange> = {}): { publicKey: string; signature: string } {
  const { publicKey } = next;
  const whole = { hubId: federation.hub.hubId, nodeId: node.key.id, publicKey, link: welcome.link, ...other };
  return { publicKey, signature: next.sign(keyChangeText(whole)) };
}

function post(body: object, bearer = welcome.credential): Promise<Answer> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${bearer}` };
  const path = '/api/v1/node/key';
  const text = JSON.stringify(body);
  return ask(
    {
      host: '127.0.0.1',
      port: federation.hub.port,
      method: 'POST',
      path,
      headers: { ...headers, 'content-length': Buffer.byteLength(text) },
    },
    text,
  );
}

async function expectOldKey(): Promise<void> {
  expect((await federation.nodes()).map(({ id, name }) => ({ id, name }))).toEqual([{ id: node.key.id, name: 'pi' }]);
}

test('a member takes another key, and the old one is turned away with the reason', async () => {
  const next = newKey();
  const { status, json } = await post(change(next));
  expect({ status, json }).toEqual({ status: 200, json: { id: next.id } });
  expect(await node.refusal()).toBe('KEY_ROTATED');
  await using renewed = bareNode(federation.hub, { name: 'pi', key: next });
  await renewed.welcome();
  expect((await federation.nodes()).map(({ id, state }) => ({ id, state }))).toEqual([
    { id: next.id, state: 'online' },
  ]);
  expect(await federation.pending()).toEqual([]);
});

test.each<[string, (next: KeyPair) => object]>([
  ['another key signed', (next) => ({ ...change(newKey()), publicKey: next.publicKey })],
  ['the old key signed', (next) => change(node.key, { publicKey: next.publicKey })],
  ['was signed for another hub', (next) => change(next, { hubId: 'f'.repeat(64) })],
  ['was signed for another node', (next) => change(next, { nodeId: 'f'.repeat(64) })],
  ['was signed on an earlier link', (next) => change(next, { link: welcome.link - 1 })],
  ['nobody signed', (next) => ({ ...change(next), signature: 'A'.repeat(86) })],
])('a change that %s is refused', async (_, body) => {
  const next = newKey();
  const { publicKey } = next;
  const { status, json } = await post({ ...body(next), publicKey });
  expect({ status, json }).toMatchObject({ status: 403, json: { code: 'FORBIDDEN' } });
  await expectOldKey();
});

test('a change that is heard a second time is worth nothing', async () => {
  const next = newKey();
  const heard = change(next);
  await post(heard);
  await node.refusal();
  expect(await post(heard)).toMatchObject({ status: 401 });
  await using renewed = bareNode(federation.hub, { name: 'pi', key: next });
  const { credential } = await renewed.welcome();
  expect(await post(heard, credential)).toMatchObject({ status: 403 });
});

test('a key that is somebody’s already is taken by nobody', async () => {
  await using other = bareNode(federation.hub, { name: 'other', token: await federation.token({}) });
  await other.welcome();
  expect(await post(change(other.key))).toMatchObject({ status: 409, json: { code: 'NAME_TAKEN' } });
  expect(await post(change(node.key))).toMatchObject({ status: 409, json: { code: 'NAME_TAKEN' } });
});

test('of two changes at once one is made', async () => {
  const keys = [newKey(), newKey(), newKey()];
  const answers = await Promise.all(keys.map((next) => post(change(next))));
  const taken = keys.filter((_, at) => answers[at]!.status === 200);
  expect(taken).toHaveLength(1);
  expect((await federation.nodes()).map(({ id }) => id)).toEqual([taken[0]!.id]);
});

test('a node that is revoked changes nothing', async () => {
  await federation.post('/nodes/pi/revoke');
  expect(await post(change(newKey()))).toMatchObject({ status: 401 });
  expect((await federation.nodes()).map(({ state }) => state)).toEqual(['revoked']);
});

test('only a member is asked for its key', async () => {
  expect(await federation.ask('POST', '/node/key', change(newKey()))).toMatchObject({ status: 403 });
  expect(await post(change(newKey()), 'x'.repeat(43))).toMatchObject({ status: 401 });
  expect(await post({ publicKey: 'short', signature: 'short' })).toMatchObject({ status: 400 });
});

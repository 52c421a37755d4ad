import { createHash, createPrivateKey } from 'node:crypto';
import { expect, it } from 'vitest';
import { actionText } from '#src/core/action.ts';
import { formatJoinToken, parseJoinToken } from '#src/core/join-token.ts';
import { fingerprint } from '#src/core/node.ts';
import type { KeyPair } from '#src/link/key.ts';
import { keyId, keyPair, verifySignature } from '#src/link/key.ts';
import { encodeFrame, FRAME } from '#src/protocol/frames.ts';
import { transcriptText } from '#src/protocol/handshake.ts';
import { keyChangeText } from '#src/protocol/node-key.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';
import { page, section } from './protocol-page.ts';

const vector = JSON.parse(/```json\n([\s\S]*?)```/.exec(page)![1]!) as Record<string, string> & {
  version: number;
  offered: number[];
  link: number;
  action: Parameters<typeof actionText>[0];
};
const [node, hub, next] = [vector['nodeSeed']!, vector['hubSeed']!, vector['nextSeed']!].map(keyFrom);
const transcript = {
  ...{ version: vector.version, offered: vector.offered, host: vector['host']! },
  ...{ nodeKey: vector['nodeKey']!, hubKey: vector['hubKey']! },
  ...{ nodeNonce: vector['nodeNonce']!, hubNonce: vector['hubNonce']! },
};
const change = {
  hubId: vector['hubId']!,
  nodeId: vector['nodeId']!,
  publicKey: vector['nextKey']!,
  link: vector.link,
};

it('docs/protocol.md has the keys of its seeds, and their ids', () => {
  expect([node, hub, next].map((key) => key!.publicKey)).toEqual(
    ['nodeKey', 'hubKey', 'nextKey'].map((name) => vector[name]),
  );
  expect([keyId(vector['nodeKey']!), keyId(vector['hubKey']!)]).toEqual([vector['nodeId'], vector['hubId']]);
  expect(fingerprint(vector['nodeId']!)).toBe(vector['fingerprint']);
  expect(PROTOCOL_VERSIONS).toEqual([vector.version]);
});

it.each([
  ['hubSignature', 'hubKey', transcriptText('hub', transcript)],
  ['nodeSignature', 'nodeKey', transcriptText('node', transcript)],
  ['hubSignatureForOperator', 'hubKey', transcriptText('hub', transcript, 'operator')],
  ['operatorSignature', 'nodeKey', transcriptText('operator', transcript, 'operator')],
  ['nextSignature', 'nextKey', keyChangeText(change)],
])('docs/protocol.md has a %s that the code takes, over that text and no other', (name, key, text) => {
  expect(verifySignature(vector[key]!, text, vector[name]!)).toBe(true);
  expect(verifySignature(vector[key]!, `${text}\n`, vector[name]!)).toBe(false);
});

it('docs/protocol.md shows the parts that are signed in the order of the code', () => {
  const shown = section('### What is signed')
    .split('\n')
    .filter((line) => line.startsWith('    '));
  const parts = transcriptText('hub', {
    ...transcript,
    nodeKey: 'KEY OF THE NODE',
    hubKey: 'KEY OF THE HUB',
    nodeNonce: 'NONCE OF THE NODE',
    hubNonce: 'NONCE OF THE HUB',
  });
  expect(shown.map((line) => line.trim().split(/ {2,}/)[0])).toEqual(parts.split('\n'));
  const rotation = section('## 2. Identity')
    .split('\n')
    .filter((line) => line.startsWith('    '));
  expect(rotation).toHaveLength(keyChangeText(change).split('\n').length);
  expect(rotation[0]!.trim()).toBe(keyChangeText(change).split('\n')[0]);
});

it('docs/protocol.md has a join token, an approved action and a frame as the code makes them', () => {
  expect(parseJoinToken(vector['joinToken']!).hubId).toBe(vector['hubId']);
  expect(formatJoinToken(parseJoinToken(vector['joinToken']!))).toBe(vector['joinToken']);
  expect(createHash('sha256').update(actionText(vector.action)).digest('hex')).toBe(vector['actionHash']);
  expect(encodeFrame(FRAME.stdout, 0, Buffer.from('hi\n')).toString('hex')).toBe(vector['stdoutFrame']);
});

function keyFrom(seed: string): KeyPair {
  // PKCS #8 of an Ed25519 key, up to its 32 bytes (RFC 8410).
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'hex')]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return keyPair(key.export({ type: 'pkcs8', format: 'pem' }).toString());
}

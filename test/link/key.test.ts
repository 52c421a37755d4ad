import { createHash, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { createPrivateKey, keyId, keyPair, verifySignature } from '#src/link/key.ts';

test('a key signs what its public half verifies', () => {
  const key = keyPair(createPrivateKey());
  const signature = key.sign('a text');
  expect(verifySignature(key.publicKey, 'a text', signature)).toBe(true);
  expect(verifySignature(key.publicKey, 'another text', signature)).toBe(false);
  expect(verifySignature(keyPair(createPrivateKey()).publicKey, 'a text', signature)).toBe(false);
});

test('the id is the hash of the raw public key and the same at every start', () => {
  const pem = createPrivateKey();
  const key = keyPair(pem);
  expect(Buffer.from(key.publicKey, 'base64url')).toHaveLength(32);
  expect(key.id).toBe(createHash('sha256').update(Buffer.from(key.publicKey, 'base64url')).digest('hex'));
  expect(keyPair(pem).id).toBe(key.id);
  expect(keyId(key.publicKey)).toBe(key.id);
});

test.each([
  ['nothing', '', ''],
  ['other characters', '!!!', '???'],
  ['a short key', 'AAAA', 'A'.repeat(86)],
  ['a signature of zeros', undefined, 'A'.repeat(86)],
  ['a short signature', undefined, 'AAAA'],
])('%s verifies nothing and throws nothing', (_name, publicKey, signature) => {
  const key = keyPair(createPrivateKey());
  expect(verifySignature(publicKey ?? key.publicKey, 'a text', signature)).toBe(false);
});

test('a second spelling of the same bytes is refused', () => {
  const key = keyPair(createPrivateKey());
  const signature = key.sign('a text');
  expect(verifySignature(`${key.publicKey}=`, 'a text', signature)).toBe(false);
  expect(verifySignature(key.publicKey, 'a text', `${signature}==`)).toBe(false);
});

test('only an Ed25519 private key is taken', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  expect(() => keyPair(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())).toThrow('not an Ed25519 key');
  expect(() => keyPair('garbage')).toThrow('unsupported');
});

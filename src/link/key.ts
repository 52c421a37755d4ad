import {
  createHash,
  createPrivateKey as readPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from 'node:crypto';

export interface KeyPair {
  /** SHA-256 of the raw public key, hex. */
  readonly id: string;
  /** Raw Ed25519 public key, base64url. */
  readonly publicKey: string;
  /** Signature of the text's UTF-8 bytes, base64url. */
  sign(text: string): string;
}

/** A new Ed25519 key as PKCS8 PEM. */
export function createPrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Throws what node:crypto throws when `pem` is not an Ed25519 private key. */
export function keyPair(pem: string): KeyPair {
  const privateKey = readPrivateKey(pem);
  const { crv, x: publicKey } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (crv !== 'Ed25519' || publicKey === undefined) throw new TypeError('not an Ed25519 key');
  return {
    id: keyId(publicKey),
    publicKey,
    sign: (text) => sign(null, Buffer.from(text), privateKey).toString('base64url'),
  };
}

export function keyId(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex');
}

/** False, and never an exception, for a key or a signature that is garbage. */
export function verifySignature(publicKey: string, text: string, signature: string): boolean {
  if (!isCanonical(publicKey) || !isCanonical(signature)) return false;
  try {
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
  } catch {
    return false;
  }
}

/** One key has one spelling, or one node could be known under several. */
function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

import { FederationError } from '#src/core/errors.ts';

/** The hub's key hash comes first, so that a node knows the hub before it sends it the secret. */
export interface JoinToken {
  /** SHA-256 of the hub's raw public key, hex. */
  readonly hubId: string;
  /** 32 random bytes, base64url. */
  readonly secret: string;
}

const JOIN_TOKEN = /^ocf1\.([0-9a-f]{64})\.([A-Za-z0-9_-]{43})$/;

export function formatJoinToken(token: JoinToken): string {
  return `ocf1.${token.hubId}.${token.secret}`;
}

/** Throws TOKEN_INVALID for anything that is not a join token of version 1. */
export function parseJoinToken(text: string): JoinToken {
  const match = JOIN_TOKEN.exec(text.trim());
  if (match === null) {
    throw new FederationError('TOKEN_INVALID', 'this is not a join token', {
      hint: 'paste the whole line that starts with ocf1. (on the master: manage-federation token create)',
    });
  }
  return { hubId: match[1]!, secret: match[2]! };
}

import { FederationError } from '#src/core/errors.ts';
import type { NodeFacts, Role } from '#src/core/node.ts';

/** What the hub keeps of a join token: never the secret, only its hash. */
export interface TokenRecord {
  /** SHA-256 of the secret, hex. */
  readonly hash: string;
  /** The one node name that it is for. */
  readonly name: string | null;
  readonly role: Role | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Name by which approval rules know it: it admits nobody by itself, its bearer waits for them. */
  readonly rules?: string | null;
  /** Whether who joins by it may offer models; one of an earlier version lets it. */
  readonly models?: boolean;
  /** Milliseconds since the epoch, as all times here. */
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usesLeft: number;
  readonly createdBy: string;
}

const HINT = 'on the master: manage-federation token create';

/** The one role that a token admits to. */
export function roleOf({ role }: TokenRecord): Role {
  return role ?? 'worker';
}

/** The token with this hash, as long as it is good for something. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export function validToken(tokens: ReadonlyMap<string, TokenRecord>, hash: string, now: number): TokenRecord {
  const token = tokens.get(hash);
  if (token === undefined)
    throw new FederationError('TOKEN_INVALID', 'the join token is unknown, used up or expired', { hint: HINT });
  if (now >= token.expiresAt) throw new FederationError('TOKEN_EXPIRED', 'the join token has expired', { hint: HINT });
  return token;
}

/** The token with this hash, good for that node. Throws TOKEN_INVALID or TOKEN_EXPIRED. */
export function tokenFor(
  tokens: ReadonlyMap<string, TokenRecord>,
  hash: string,
  { name, role }: NodeFacts,
  now: number,
): TokenRecord {
  const token = validToken(tokens, hash, now);
  if (token.name !== null && token.name !== name) {
    throw new FederationError('TOKEN_INVALID', `the join token is for a node named ${token.name}`, { hint: HINT });
  }
  if (roleOf(token) !== role) {
    throw new FederationError('TOKEN_INVALID', `the join token is for a ${roleOf(token)}`, { hint: HINT });
  }
  return token;
}

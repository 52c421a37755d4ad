import { createHash, randomBytes } from 'node:crypto';
import { FederationError } from '#src/core/errors.ts';
import { formatJoinToken } from '#src/core/join-token.ts';
import { expire } from '#src/core/pairing.ts';
import { findNode, missText } from '#src/core/selector.ts';
import type { TokenRecord } from '#src/core/token.ts';
import { validToken } from '#src/core/token.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { TokenCreate, TokenCreated } from '#src/protocol/hub-api/token.ts';
import { tokenCreateSchema } from '#src/protocol/hub-api/token.ts';

/** The join tokens that are good for something. */
export interface Tokens {
  create(wanted: TokenCreate, by: string): Promise<TokenCreated>;
  /** The ones that are soonest over first. */
  list(): readonly TokenRecord[];
  /** By the SHA-256 of its secret, hex. Throws TOKEN_INVALID and TOKEN_EXPIRED as redeeming it would. */
  find(hash: string): TokenRecord;
  /** By unique prefix of its hash, or the name that it is for. Throws NOT_FOUND, and NODE_AMBIGUOUS. */
  revoke(word: string, by: string): Promise<TokenRecord>;
}

export function createTokens(membership: MembershipKeeper, hubId: string): Tokens {
  const { inTurn, commit, record, now } = membership;
  const good = () => [...membership.state().tokens.values()].filter(({ expiresAt }) => now() < expiresAt);

  return {
    create: (wanted, by) =>
      inTurn(async () => {
        const { name, role, labels, ttlSeconds, uses, rules, models } = tokenCreateSchema.parse(wanted);
        const secret = randomBytes(32).toString('base64url');
        const expiresAt = now() + ttlSeconds * 1000;
        const token: TokenRecord = {
          hash: tokenHash(secret),
          name: name ?? null,
          role,
          labels,
          rules: rules ?? null,
          models,
          createdAt: now(),
          expiresAt,
          usesLeft: uses,
          createdBy: by,
        };
        const ended = expire(membership.state(), now()).filter(({ type }) => type === 'token-ended');
        await commit(
          [...ended, { type: 'token', token }],
          [record('token.create', by, { ...named(token), role, labels, models, expiresAt, uses })],
        );
        return {
          id: token.hash,
          token: formatJoinToken({ hubId, secret }),
          expiresAt: new Date(expiresAt).toISOString(),
          uses,
        };
      }),
    list: () => good().toSorted((a, b) => a.expiresAt - b.expiresAt),
    find: (hash) => validToken(membership.state().tokens, hash, now()),
    revoke: (word, by) =>
      inTurn(async () => {
        const token = findToken(good(), word);
        await commit([{ type: 'token-ended', hash: token.hash }], [record('token.revoke', by, named(token))]);
        return token;
      }),
  };
}

/** What the hub keeps and compares: from it the secret can't be found. */
export function tokenHash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

function named({ hash, name, rules }: TokenRecord) {
  return { token: hash.slice(0, 12), name, rules: rules ?? null };
}

function findToken(tokens: readonly TokenRecord[], word: string): TokenRecord {
  const all = tokens.map((token) => ({ id: token.hash, name: token.name ?? token.rules ?? '', token }));
  try {
    return findNode(all, word, 'join tokens').token;
  } catch (error) {
    if (error instanceof FederationError && error.code === 'NODE_AMBIGUOUS') throw error;
    throw new FederationError('NOT_FOUND', missText(all, word, `no join token fits ${JSON.stringify(word)}`), {
      hint: 'manage-federation token list',
      cause: error,
    });
  }
}

import { hash, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Store } from '#src/adapters/store/store.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Consumer, ModelKey, Spending, Spent } from '#src/core/models/key.ts';
import { budgetText, isForModel, isGood, lackingBudget, nothingSpent, spend } from '#src/core/models/key.ts';
import { findNode, missText } from '#src/core/selector.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import type { LateWriter } from '#src/hub/models/late-writer.ts';
import type { Pace } from '#src/core/pace.ts';
import { createPace } from '#src/core/pace.ts';
import type { UsageRecord } from '#src/hub/models/usage.ts';
import type { ModelKeyCreate } from '#src/protocol/model-keys.ts';
import { modelKeyCreateSchema } from '#src/protocol/model-keys.ts';

/** The keys by which other programs use the federation's models. */
export interface ModelKeys {
  /** Whose secret it is (`ocfm_…`); null where it is nobody's, or not any more. */
  authenticate(secret: string): Consumer | null;
  /** Counts that it asks, before anything of the request is read. Throws MODELS_BUSY where it asks too often. */
  takeTurn(consumer: Consumer): void;
  /**
   * Lets a request in and reserves what it may cost, at least its prompt of so many `tokens`, until `UsageBook.record`
   * says what it did: exactly one record for each. Throws FORBIDDEN, BUDGET_EXCEEDED, and MODELS_BUSY where what is left
   * of a budget is held by others.
   */
  admit(consumer: Consumer, model: string, tokens: number): void;
  /** Whether it has a budget of tokens, for which answers are to be read on their way. */
  countsTokens(consumer: Consumer): boolean;
}

export interface ModelKeyDesk extends ModelKeys {
  /** The secret is in the answer and nowhere else. Throws NAME_TAKEN, and USAGE where there are too many. */
  create(wanted: ModelKeyCreate, by: string): Promise<{ readonly key: ModelKey; readonly secret: string }>;
  /** Those that are good for something, by name. */
  list(): readonly { readonly key: ModelKey; readonly spending: Spending }[];
  /** By name or a unique beginning of its id; no request by it is let in from here on. Throws NOT_FOUND, NODE_AMBIGUOUS. */
  revoke(word: string, by: string): Promise<{ readonly key: ModelKey; readonly spending: Spending }>;
  /** Whether that key is there, and was not revoked. */
  stands(keyId: string): boolean;
  readonly puttingOut: EventEmitter<{ out: [keyId: string] }>;
  /** What it reaches of agents, as patterns; none for who is no key, or none that is good any more. */
  agents(consumer: Consumer): readonly string[];
  /** Whether who asks may write that. */
  allows(consumer: Consumer, model: string): boolean;
  /** A request that was let in is over. */
  settle(record: UsageRecord): void;
}

export interface ModelKeysOptions {
  readonly store: Pick<Store, 'modelKeys' | 'modelSpending'>;
  readonly membership: Pick<MembershipKeeper, 'inTurn' | 'commit' | 'record' | 'now'>;
  readonly writer: LateWriter;
  /** Keys that are good at once. */
  readonly maxKeys?: number;
}

const PREFIX = 'ocfm_';
const MAX_KEYS = 1000;
/** How long one that is over is known: longer than what it asked for may wait, or be worked on. */
const FORGET_MS = 30 * 86_400_000;
/** Tokens of a request of which nothing is known: a short question with its answer. */
const FIRST_GUESS = 1000;
/** How much a request counts in the mean of its key. */
const SHARE = 0.1;

/** What changes with every request of a key. */
interface Account {
  readonly key: ModelKey;
  spending: Spending;
  /** Tokens that each request under way was reserved. */
  readonly reserved: number[];
  /** Moving mean. */
  tokensOfOne: number;
  readonly pace: Pace | null;
}

export async function openModelKeys({
  store,
  membership,
  writer,
  maxKeys = MAX_KEYS,
}: ModelKeysOptions): Promise<ModelKeyDesk> {
  const { inTurn, commit, record, now } = membership;
  const spendings = new Map((await store.modelSpending()).map((spending) => [spending.id, spending]));
  const accounts = new Map<string, Account>();
  const puttingOut: ModelKeyDesk['puttingOut'] = new EventEmitter();
  for (const key of await store.modelKeys()) accounts.set(key.id, open(key));

  function open(key: ModelKey): Account {
    const spending = spendings.get(key.id) ?? nothingSpent(key.id);
    const pace = key.rpm === null ? null : createPace(key.rpm);
    return { key, spending, reserved: [], tokensOfOne: FIRST_GUESS, pace };
  }

  const good = (): Account[] =>
    [...accounts.values()]
      .filter(({ key }) => isGood(key, now()))
      .toSorted((a, b) => (a.key.name < b.key.name ? -1 : 1));

  function goodAccount(consumer: Consumer): Account | null {
    if (consumer.kind !== 'key') return null;
    const account = accounts.get(consumer.id);
    if (account !== undefined && isGood(account.key, now())) return account;
    // Revoked between its authentication and now.
    throw new FederationError('UNAUTHENTICATED', 'the key is not good any more', { hint: KEY_HINT });
  }

  return {
    authenticate(secret) {
      if (!secret.startsWith(PREFIX)) return null;
      const account = accounts.get(hashOf(secret));
      if (account === undefined || !isGood(account.key, now())) return null;
      const { id, name } = account.key;
      return { kind: 'key', id, name };
    },
    agents(consumer) {
      const key = accounts.get(consumer.kind === 'key' ? consumer.id : '')?.key;
      return key !== undefined && isGood(key, now()) ? (key.agents ?? []) : [];
    },
    allows: (consumer, model) =>
      consumer.kind !== 'key' || isForModel(accounts.get(consumer.id)?.key ?? { models: [] }, model),
    countsTokens: (consumer) =>
      consumer.kind === 'key' && accounts.get(consumer.id)?.key.budgets.some(({ unit }) => unit === 'tokens') === true,
    takeTurn(consumer) {
      const account = goodAccount(consumer);
      const waitMs = account?.pace?.take(performance.now()) ?? 0;
      if (account !== null && waitMs > 0) throw tooOften(account.key, waitMs);
    },
    admit(consumer, model, tokens) {
      const account = goodAccount(consumer);
      if (account === null) return;
      const { key } = account;
      if (!isForModel(key, model)) throw notForModel(key, model);
      const wanted = Math.max(Math.ceil(account.tokensOfOne), tokens);
      checkBudgets(account, wanted, now());
      account.reserved.push(wanted);
    },
    settle({ consumer, node, status, tokens, guessed, aborted }) {
      if (consumer.kind !== 'key') return;
      const account = accounts.get(consumer.id);
      if (account === undefined) return;
      const reserved = account.reserved.shift() ?? 0;
      // What no upstream was asked for costs nothing, and what one refused, no tokens.
      if (node === null) return;
      const isAnswer = status === null || status < 400;
      // What says nothing itself costs what passed, or else what a request of this key costs as a rule.
      const told = tokens === null ? null : tokens.input + tokens.output;
      // The last word of what broke off is missing: what was told before it may be next to nothing.
      const counted = told === null ? (isAnswer ? guessed : 0) : aborted ? Math.max(told, guessed ?? 0) : told;
      const used = counted ?? reserved;
      if (counted !== null && isAnswer) account.tokensOfOne += (used - account.tokensOfOne) * SHARE;
      account.spending = spend(account.spending, { tokens: used, requests: 1 }, now());
      const { id } = account.key;
      writer.put(`spending ${id}`, () => ({ type: 'model_spending', id, value: account.spending }));
    },
    create: (wanted, by) =>
      inTurn(async () => {
        const { name, models, agents, budgets, rpm, ttlSeconds } = modelKeyCreateSchema.parse(wanted);
        if (good().some(({ key }) => key.name === name)) {
          throw new FederationError('NAME_TAKEN', `there is a key named ${name}`, {
            hint: `another name; or: manage-federation models key revoke ${name}`,
          });
        }
        if (good().length >= maxKeys) {
          throw new FederationError('USAGE', `there are ${maxKeys} keys, which is as many as may be`, {
            hint: 'manage-federation models key revoke NAME',
          });
        }
        const secret = `${PREFIX}${randomBytes(32).toString('base64url')}`;
        const key: ModelKey = {
          ...{ id: hashOf(secret), name, models, agents, budgets, rpm, createdAt: now(), createdBy: by },
          expiresAt: ttlSeconds === null ? null : now() + ttlSeconds * 1000,
          revokedAt: null,
        };
        const over = [...accounts.values()].filter(({ key: { revokedAt, expiresAt } }) => {
          const overAt = revokedAt ?? expiresAt;
          return overAt !== null && overAt < now() - FORGET_MS;
        });
        await commit(
          [],
          [
            ...over.flatMap((account) => forgotten(account.key.id)),
            { type: 'model_key', id: key.id, value: key },
            record('model.key.create', by, { ...named(key), models, agents, budgets, rpm, expiresAt: key.expiresAt }),
          ],
        );
        for (const {
          key: { id },
        } of over)
          accounts.delete(id);
        accounts.set(key.id, open(key));
        return { key, secret };
      }),
    list: () => good().map(({ key, spending }) => ({ key, spending })),
    revoke: (word, by) =>
      inTurn(async () => {
        const account = findKey(good(), word);
        const key = { ...account.key, revokedAt: now() };
        // Out at once, also where that can't be kept: then it is said.
        accounts.set(key.id, { ...account, key });
        puttingOut.emit('out', key.id);
        await commit([], [{ type: 'model_key', id: key.id, value: key }, record('model.key.revoke', by, named(key))]);
        return { key, spending: account.spending };
      }),
    stands: (keyId) => accounts.get(keyId)?.key.revokedAt === null,
    puttingOut,
  };
}

function forgotten(id: string) {
  return [{ type: 'model_key', id, value: null } as const, { type: 'model_spending', id, value: null } as const];
}

function checkBudgets({ key, spending, reserved }: Account, wanted: number, now: number): void {
  const held: Spent = { tokens: reserved.reduce((sum, tokens) => sum + tokens, 0), requests: reserved.length };
  const lacking = lackingBudget(key, spending, held, { tokens: wanted, requests: 1 }, now);
  if (lacking === null) return;
  if (lacking.isSpent) {
    throw new FederationError('BUDGET_EXCEEDED', `the key ${key.name} has used its ${budgetText(lacking.budget)}`, {
      hint: 'manage-federation models key list',
    });
  }
  throw new FederationError(
    'MODELS_BUSY',
    `what the key ${key.name} has left of its ${budgetText(lacking.budget)} is held by its requests that are under way`,
    { hint: 'try again when one of them is over', retryAfterMs: 1000 },
  );
}

function hashOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}

function named({ id, name }: ModelKey) {
  return { key: id.slice(0, 12), name };
}

const KEY_HINT = 'on the master: manage-federation models key create NAME';

function notForModel({ name, models }: ModelKey, model: string): FederationError {
  const what = model === '' ? 'requests that name no model' : JSON.stringify(model.slice(0, 200));
  return new FederationError('FORBIDDEN', `the key ${name} is not for ${what}`, {
    hint: models.length === 0 ? 'it is for agents alone' : `it is for ${models.slice(0, 8).join(', ')}`,
  });
}

function tooOften({ name, rpm }: ModelKey, waitMs: number): FederationError {
  return new FederationError('MODELS_BUSY', `the key ${name} may ask ${rpm} times a minute`, {
    hint: 'ask less often',
    retryAfterMs: waitMs,
  });
}

function findKey(accounts: readonly Account[], word: string): Account {
  const all = accounts.map((account) => ({ id: account.key.id, name: account.key.name, account }));
  try {
    return findNode(all, word, 'keys').account;
  } catch (error) {
    if (error instanceof FederationError && error.code === 'NODE_AMBIGUOUS') throw error;
    throw new FederationError('NOT_FOUND', missText(all, word, `no key fits ${JSON.stringify(word)}`), {
      hint: 'manage-federation models key list',
      cause: error,
    });
  }
}

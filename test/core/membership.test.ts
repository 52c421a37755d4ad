import { expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import { approve, readmit, redeem, revoke } from '#src/core/admission.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { EMPTY_MEMBERSHIP, memberNamed, reduce } from '#src/core/membership.ts';
import type { Asking } from '#src/core/pairing.ts';
import { ask, expire, REQUEST_LIFE_MS } from '#src/core/pairing.ts';
import type { TokenRecord } from '#src/core/token.ts';
import { facts } from '../support/link.ts';
import { randomNumbers } from '../support/random.ts';

const LIMITS = { total: 4, perSource: 2 };
const NAMES = ['a', 'b', 'c'];
const STEP_MS = REQUEST_LIFE_MS / 10;

/** What the rules say, in the plainest form: who is in, who waits, what a token is worth. */
interface Model {
  readonly members: Map<number, { name: string; revoked: boolean; device: boolean }>;
  readonly waiting: Map<
    number,
    { name: string; source: number; lastAskedAt: number; changed: boolean; rejected: boolean; held: boolean }
  >;
  readonly tokens: Map<number, { uses: number; expiresAt: number; name: string | null }>;
}

const nodeId = (key: number) => String(key).padStart(64, '0');
const asking = (key: number, name: string, source: number): Asking => ({
  nodeId: nodeId(key),
  publicKey: 'k'.repeat(43),
  facts: facts(name),
  address: `100.64.0.${source}`,
  tailnet: null,
  token: null,
});
const tokenRecord = (id: number, uses: number, expiresAt: number, name: string | null): TokenRecord => ({
  ...{ hash: `t${id}`, name, role: 'worker', labels: {}, createdAt: 0, expiresAt, usesLeft: uses, createdBy: 'me' },
});

/** The events of a decision; the code of the error where it is refused. */
function decided(decide: () => MembershipEvent | MembershipEvent[] | null): MembershipEvent[] | string {
  try {
    return [decide() ?? []].flat();
  } catch (error) {
    if (error instanceof FederationError) return error.code;
    throw error;
  }
}

test('whatever happens in whatever order, who is in, who waits and what tokens are worth is what the rules say', () => {
  const seen = new Map<string, number>();
  for (let seed = 1; seed <= 150; seed += 1) story(seed, seen);
  // The stories reach every rule: else they would prove nothing.
  expect([...seen.keys()].toSorted()).toEqual([
    'approve HELD',
    'approve NAME_TAKEN',
    'approve ok',
    'ask PENDING_FULL',
    'ask ok',
    'readmit NAME_TAKEN',
    'readmit ok',
    'redeem NAME_TAKEN',
    'redeem TOKEN_EXPIRED',
    'redeem TOKEN_INVALID',
    'redeem ok',
    'revoke ok',
  ]);
});

function story(seed: number, seen: Map<string, number>): void {
  const random = randomNumbers(seed);
  const any = (count: number) => Math.floor(random() * count);
  const model: Model = { members: new Map(), waiting: new Map(), tokens: new Map() };
  let state: Membership = EMPTY_MEMBERSHIP;
  let now = 0;

  const holderOf = (name: string) => [...model.members].find(([, one]) => one.name === name && !one.revoked);
  const isTaken = (key: number, name: string) => ![undefined, key].includes(holderOf(name)?.[0]);

  function take(what: string, decide: () => MembershipEvent | MembershipEvent[] | null, expected: string): boolean {
    const before = JSON.stringify(view(state));
    const result = decided(decide);
    const word = typeof result === 'string' ? result : 'ok';
    seen.set(`${what} ${word}`, (seen.get(`${what} ${word}`) ?? 0) + 1);
    expect(`${what} ${word} in story ${seed}`).toBe(`${what} ${expected} in story ${seed}`);
    // A decision changes nothing by itself.
    expect(JSON.stringify(view(state))).toBe(before);
    if (typeof result === 'string') return false;
    state = result.reduce(reduce, state);
    return true;
  }

  function sweep(): void {
    state = expire(state, now).reduce(reduce, state);
    for (const [key, one] of model.waiting) if (now - one.lastAskedAt >= REQUEST_LIFE_MS) model.waiting.delete(key);
    for (const [id, { expiresAt }] of model.tokens) if (now >= expiresAt) model.tokens.delete(id);
  }

  function evict(key: number, name: string): void {
    const holder = holderOf(name);
    if (holder !== undefined && holder[0] !== key) holder[1].revoked = true;
  }

  const actions: (() => void)[] = [
    function time() {
      now += any(3) * STEP_MS;
      if (any(2) === 0) sweep();
    },
    function asks() {
      const [key, name, source] = [any(8), NAMES[any(3)]!, any(3)];
      if (model.members.has(key)) return;
      const room = [...model.waiting.values()].filter((one) => !one.rejected);
      const from = room.filter((one) => one.source === source).length;
      const full = !model.waiting.has(key) && (room.length >= LIMITS.total || from >= LIMITS.perSource);
      const known = model.waiting.get(key);
      const changed = known !== undefined && (known.changed || known.name !== name);
      const held = isTaken(key, name) || changed;
      const done = take('ask', () => ask(state, asking(key, name, source), LIMITS, now), full ? 'PENDING_FULL' : 'ok');
      if (!done) return;
      expect(state.requests.get(nodeId(key))?.held !== null).toBe(held);
      // The same from the same place again at once is known already.
      const same = known?.name === name && known.source === source && known.held === held;
      const again = same && known.lastAskedAt === now;
      const rejected = known?.rejected ?? false;
      if (!again) model.waiting.set(key, { name, source, lastAskedAt: now, changed, rejected, held });
    },
    function approves() {
      const [key, replace] = [any(8), any(2) === 0];
      const request = state.requests.get(nodeId(key));
      if (request === undefined) return;
      const { name, changed } = model.waiting.get(key)!;
      const held = changed ? 'HELD' : isTaken(key, name) ? 'NAME_TAKEN' : 'ok';
      const expected = replace ? 'ok' : held;
      if (!take('approve', () => approve(state, request, { by: 'me', replace }, now), expected)) return;
      evict(key, name);
      model.waiting.delete(key);
      model.members.set(key, { name, revoked: false, device: false });
    },
    function rejects() {
      const key = any(8);
      const request = model.waiting.get(key);
      if (request === undefined) return;
      state = reduce(state, { type: 'rejected', nodeId: nodeId(key) });
      model.waiting.set(key, { ...request, rejected: true });
    },
    function redeems() {
      const [key, id, name] = [any(8), any(6), NAMES[any(3)]!];
      const known = model.members.get(key);
      if (known !== undefined && !known.revoked) return;
      const token = model.tokens.get(id);
      const expected = (): string => {
        if (token === undefined) return 'TOKEN_INVALID';
        if (now >= token.expiresAt) return 'TOKEN_EXPIRED';
        if (token.name !== null && token.name !== name) return 'TOKEN_INVALID';
        return isTaken(key, name) ? 'NAME_TAKEN' : 'ok';
      };
      if (!take('redeem', () => redeem(state, asking(key, name, 0), `t${id}`, now), expected())) return;
      token!.uses -= 1;
      if (token!.uses === 0) model.tokens.delete(id);
      model.waiting.delete(key);
      model.members.set(key, { name, revoked: false, device: known?.device ?? false });
    },
    function makesToken() {
      const [id, uses, life, name] = [any(6), 1 + any(3), (1 + any(5)) * STEP_MS, any(3) === 0 ? NAMES[any(3)]! : null];
      state = reduce(state, { type: 'token', token: tokenRecord(id, uses, now + life, name) });
      model.tokens.set(id, { uses, expiresAt: now + life, name });
    },
    function revokes() {
      const [key, one] = [...model.members][any(8)] ?? [];
      if (key === undefined || one === undefined || one.revoked) return;
      take('revoke', () => revoke(state.members.get(nodeId(key))!, now), 'ok');
      one.revoked = true;
    },
    function readmits() {
      const [key, one] = [...model.members][any(8)] ?? [];
      if (key === undefined || one === undefined || !one.revoked) return;
      const replace = any(3) === 0;
      const expected = isTaken(key, one.name) && !replace ? 'NAME_TAKEN' : 'ok';
      const back = () => readmit(state, state.members.get(nodeId(key))!, { by: 'me', replace }, now);
      if (!take('readmit', back, expected)) return;
      evict(key, one.name);
      one.revoked = false;
    },
    function getsDevice() {
      const [key, one] = [...model.members][any(8)] ?? [];
      if (key === undefined || one === undefined) return;
      const member = { ...state.members.get(nodeId(key))!, openclaw: { deviceId: 'd', removing: one.revoked } };
      state = reduce(state, { type: 'changed', member });
      one.device = true;
    },
  ];

  for (let step = 0; step < 120; step += 1) {
    actions[any(actions.length)]!();
    expect(view(state)).toEqual(viewOf(model));
    for (const name of NAMES) {
      const holders = [...state.members.values()].filter((one) => one.name === name && one.revokedAt === null);
      expect(holders.length).toBeLessThanOrEqual(1);
      expect(memberNamed(state, name)).toBe(holders[0]);
    }
  }
}

function view(state: Membership) {
  return {
    members: [...state.members.values()].map(
      ({ id, name, revokedAt, openclaw }) => `${Number(id)} ${name} ${revokedAt !== null} ${openclaw !== null}`,
    ),
    waiting: [...state.requests.values()].map(
      ({ nodeId: id, facts: { name }, lastAskedAt }) => `${Number(id)} ${name} ${lastAskedAt}`,
    ),
    tokens: [...state.tokens.values()].map(({ hash, usesLeft }) => `${hash} ${usesLeft}`),
  };
}

function viewOf({ members, waiting, tokens }: Model): ReturnType<typeof view> {
  return {
    members: [...members].map(([key, { name, revoked, device }]) => `${key} ${name} ${revoked} ${device}`),
    waiting: [...waiting].map(([key, { name, lastAskedAt }]) => `${key} ${name} ${lastAskedAt}`),
    tokens: [...tokens].map(([id, { uses }]) => `t${id} ${uses}`),
  };
}

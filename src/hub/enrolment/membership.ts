import { EventEmitter } from 'node:events';
import type { Log } from '#src/adapters/log.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import { memberFrom } from '#src/core/member.ts';
import type { Member } from '#src/core/member.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { EMPTY_MEMBERSHIP, reduce } from '#src/core/membership.ts';
import type { PairingRequest } from '#src/core/pairing.ts';
import { requestFrom } from '#src/core/pairing.ts';

export type AuditDetail = Readonly<Record<string, unknown>>;

/** Who belongs to the federation, as the store keeps it: the one writer of it. */
export interface MembershipKeeper {
  state(): Membership;
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
  /** One decision after the other: each sees what the one before made durable. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when it is kept; to be called in a turn. */
  commit(events: readonly MembershipEvent[], audit: readonly Change[]): Promise<void>;
  /** A change that nobody was promised: it joins the next commit, and a link does not wait for it. */
  note(member: Member): void;
  record(action: string, by: string, detail: AuditDetail): Change;
  /** Says which request came or is another now, and which node came, changed or went. */
  readonly changes: EventEmitter<{
    request: [now: PairingRequest, before: PairingRequest | undefined];
    node: [id: string];
  }>;
  /** Resolves when all that was noted is kept. */
  settled(): Promise<void>;
}

export interface MembershipKeeperOptions {
  readonly store: Store;
  readonly log: Log;
  readonly now?: () => number;
}

export async function openMembership({
  store,
  log,
  now = Date.now,
}: MembershipKeeperOptions): Promise<MembershipKeeper> {
  let state = await load(store);
  let turn: Promise<unknown> = Promise.resolve();
  let noted: Promise<unknown> = Promise.resolve();
  const news: MembershipKeeper['changes'] = new EventEmitter();

  function tell(before: Membership, after: Membership): void {
    for (const { id, value } of changed(before.requests, after.requests)) {
      if (value !== null) news.emit('request', value, before.requests.get(id));
    }
    for (const { id } of changed(before.members, after.members)) news.emit('node', id);
  }

  return {
    state: () => state,
    now,
    inTurn(work) {
      const mine = turn.then(work);
      turn = mine.catch(() => undefined);
      return mine;
    },
    async commit(events, audit) {
      const before = state;
      const next = events.reduce(reduce, state);
      await store.commit([...changes(before, next), ...audit]);
      state = next;
      tell(before, next);
    },
    note(member) {
      state = reduce(state, { type: 'changed', member });
      const kept = store.commitSoon([{ type: 'member', id: member.id, value: member }]);
      noted = Promise.all([noted, kept]).catch((error: unknown) =>
        log.warn('a change was not kept', { problem: String(error) }),
      );
    },
    record: (action, by, detail) => ({ type: 'audit', entry: { at: now(), action, by, detail } }),
    changes: news,
    async settled() {
      await turn;
      await noted;
    },
  };
}

async function load(store: Store): Promise<Membership> {
  const { members, requests, tokens } = await store.membership();
  const ids = new Set(members.filter(({ revokedAt }) => revokedAt === null).map(({ id }) => id));
  const events: MembershipEvent[] = [
    ...members.map((member) => ({ type: 'changed', member: memberFrom(member) }) as const),
    ...requests.map((request) => ({ type: 'asked', request: requestFrom(request, ids.has(request.nodeId)) }) as const),
    ...tokens.map((token) => ({ type: 'token', token }) as const),
  ];
  return events.reduce(reduce, EMPTY_MEMBERSHIP);
}

/** What differs between two snapshots: entries are never changed in place. */
function changes(before: Membership, after: Membership): Change[] {
  return [
    ...changed(before.members, after.members).map(({ id, value }) => ({ type: 'member', id, value }) as const),
    ...changed(before.requests, after.requests).map(({ id, value }) => ({ type: 'request', id, value }) as const),
    ...changed(before.tokens, after.tokens).map(({ id, value }) => ({ type: 'token', id, value }) as const),
  ];
}

function changed<V>(before: ReadonlyMap<string, V>, after: ReadonlyMap<string, V>): { id: string; value: V | null }[] {
  if (before === after) return [];
  const put = [...after].filter(([id, value]) => before.get(id) !== value).map(([id, value]) => ({ id, value }));
  const dropped = [...before.keys()].filter((id) => !after.has(id)).map((id) => ({ id, value: null }));
  return [...put, ...dropped];
}

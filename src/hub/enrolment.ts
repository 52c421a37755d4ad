import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '#src/adapters/log.ts';
import type { Change, Store } from '#src/adapters/store/store.ts';
import type { TailnetMachine } from '#src/core/approval.ts';
import { FederationError } from '#src/core/errors.ts';
import { formatJoinToken } from '#src/core/join-token.ts';
import type {
  Approval,
  Asking,
  Member,
  Membership,
  MembershipEvent,
  OpenClawDevice,
  PairingRequest,
  PendingLimits,
  TokenRecord,
} from '#src/core/membership.ts';
import {
  approve,
  ask,
  EMPTY_MEMBERSHIP,
  expire,
  relink,
  readmit,
  redeem,
  reduce,
  revoke,
  validToken,
  whyHeld,
} from '#src/core/membership.ts';
import { fingerprint } from '#src/core/node.ts';
import { findNode } from '#src/core/selector.ts';
import type { Identify } from '#src/hub/identity.ts';
import type { Applicant } from '#src/link/accept.ts';
import type { TokenCreate, TokenCreated } from '#src/protocol/hub-api.ts';
import { tokenCreateSchema } from '#src/protocol/hub-api.ts';

/** Who belongs to the federation, and how one comes in and goes out. The one writer of membership. */
export interface Enrolment {
  members(): Iterable<Member>;
  member(nodeId: string): Member | undefined;
  requests(): PairingRequest[];
  /** Resolves when the applicant is a member; waits for a person where it brings no token. Rejects when refused. */
  admit(applicant: Applicant): Promise<Member>;
  /** By id, unique id prefix, fingerprint or name. Also takes a revoked node back. */
  approve(word: string, approval: Approval): Promise<Approved>;
  reject(word: string, by: string): Promise<PairingRequest>;
  /** One that waits, or was rejected, by the same words. Throws REQUEST_NOT_FOUND and NODE_AMBIGUOUS. */
  request(word: string): JudgedRequest;
  /** What `rule` says of a request becomes of it, with nothing in between that changes the request. */
  judge(word: string, by: string, rule: (asked: JudgedRequest) => Ruling): Promise<void>;
  /** Says which request came, or asks for something else or from elsewhere than before. */
  readonly changes: EventEmitter<{ request: [PairingRequest] }>;
  revoke(word: string, by: string): Promise<Member>;
  createToken(wanted: TokenCreate, by: string): Promise<TokenCreated>;
  /** By the SHA-256 of its secret, hex. Throws TOKEN_INVALID and TOKEN_EXPIRED as redeeming it would. */
  token(hash: string): TokenRecord;
  /** Notes when a node was last seen; it is kept soon, and nobody waits for that. */
  seen(nodeId: string): void;
  /** Shuts a node out in this process, whatever the store can keep. */
  block(nodeId: string): void;
  /** Resolves when all that was noted is kept. */
  settled(): Promise<void>;
  setDevice(nodeId: string, device: OpenClawDevice | null): Promise<void>;
}

export interface Approved {
  readonly member: Member;
  /** The former holder of the name, revoked by this. */
  readonly replaced: Member | null;
}

export interface JudgedRequest {
  readonly request: PairingRequest;
  /** Why only a person may admit it, now. */
  readonly held: string | null;
}

/** What becomes of a request, and what the audit says of it; null: it says nothing. */
export interface Ruling {
  readonly act: 'approve' | 'reject' | 'nothing';
  readonly labels: Readonly<Record<string, string>>;
  readonly detail: AuditDetail | null;
}

export interface EnrolmentOptions {
  readonly store: Store;
  readonly hubId: string;
  readonly limits: PendingLimits;
  /** Tells the machine behind an address. */
  readonly identify: Identify;
  readonly log: Log;
  /** Wall clock, milliseconds since the epoch: requests and tokens outlive this process. */
  readonly now?: () => number;
}

type Waiter = { readonly admit: (member: Member) => void; readonly refuse: (error: FederationError) => void };
type AuditDetail = Readonly<Record<string, unknown>>;

export async function openEnrolment({
  store,
  hubId,
  limits,
  identify,
  log,
  now = Date.now,
}: EnrolmentOptions): Promise<Enrolment> {
  let state = await load(store);
  let turn: Promise<unknown> = Promise.resolve();
  let noted: Promise<unknown> = Promise.resolve();
  /** Revoked while the store could not keep it. */
  const blocked = new Set<string>();
  const waiters = new Map<string, Waiter>();
  const news: Enrolment['changes'] = new EventEmitter();

  /** One decision after the other: each sees what the one before made durable. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  }

  async function commit(events: readonly MembershipEvent[], audit: readonly Change[]): Promise<void> {
    const next = events.reduce(reduce, state);
    const before = state.requests;
    await store.commit([...changes(state, next), ...audit]);
    state = next;
    for (const { value } of changed(before, next.requests)) {
      if (value !== null && !isSaid(before.get(value.nodeId), value)) news.emit('request', value);
    }
  }

  /** What time has ended. A node that holds its line asks still. */
  const over = (): MembershipEvent[] =>
    expire(state, now()).filter((event) => event.type !== 'forgotten' || !waiters.has(event.nodeId));
  const sweep = (): Promise<void> => commit(over(), []);

  /** A change that nobody was promised: it joins the next commit, and a link does not wait for it. */
  function note(member: Member): void {
    state = reduce(state, { type: 'changed', member });
    const kept = store.commitSoon([{ type: 'member', id: member.id, value: member }]);
    noted = Promise.all([noted, kept]).catch((error: unknown) =>
      log.warn('a change was not kept', { problem: String(error) }),
    );
  }

  const record = (action: string, by: string, detail: AuditDetail): Change => ({
    type: 'audit',
    entry: { at: now(), action, by, detail },
  });

  function findRequest(word: string): PairingRequest {
    const requests = [...state.requests.values()].map((request) => ({
      id: request.nodeId,
      name: request.facts.name,
      request,
    }));
    try {
      return findNode(requests, word).request;
    } catch (error) {
      if (error instanceof FederationError && error.code === 'NODE_AMBIGUOUS') throw error;
      throw new FederationError('REQUEST_NOT_FOUND', `no node that waits for approval fits ${JSON.stringify(word)}`, {
        hint: 'manage-federation pending',
      });
    }
  }

  /** A revoked node that a person wants back, or one that waits. */
  function admission(word: string, approval: Approval) {
    const former = revokedMember(state, word);
    if (former !== undefined) {
      const detail = { ...named(former), again: true };
      return { id: former.id, events: readmit(state, former, approval, now()), detail };
    }
    const request = findRequest(word);
    return { id: request.nodeId, events: approve(state, request, approval, now()), detail: identity(request) };
  }

  async function join(asking: Asking, secret: string): Promise<Member> {
    const event = redeem(state, asking, sha256(secret), now());
    await commit([event], [record('node.join', asking.facts.name, identity(asking))]);
    return state.members.get(asking.nodeId)!;
  }

  /** Null: the applicant has to wait for a person. */
  async function consider(applicant: Applicant, tailnet: TailnetMachine | null): Promise<Member | null> {
    const asking = askingOf(applicant, tailnet);
    const known = state.members.get(asking.nodeId);
    if (known !== undefined && known.revokedAt === null) {
      if (blocked.has(known.id)) throw revoked(known.id);
      const { member, more } = relink(known, asking, now());
      note(member);
      if (more !== null) await askFor(more).catch(unlessFull);
      return member;
    }
    if (applicant.secret !== null) return join(asking, applicant.secret);
    if (known !== undefined) throw revoked(known.id);
    await sweep();
    await askFor(asking);
    if (state.requests.get(asking.nodeId)?.rejected === true) throw rejected(asking.nodeId);
    return null;
  }

  /** Whether it will be a pairing request, so that who it is on the tailnet matters. */
  function willAsk({ nodeId, facts, secret }: Applicant): boolean {
    const known = state.members.get(nodeId);
    if (known === undefined) return secret === null;
    return known.revokedAt === null && facts.offers.some((offer) => !known.granted.includes(offer));
  }

  function judged(word: string): JudgedRequest {
    const request = findRequest(word);
    return { request, held: blocked.has(request.nodeId) ? 'it was revoked' : whyHeld(state, request) };
  }

  async function letIn(word: string, approval: Approval, more: AuditDetail): Promise<Approved> {
    const { id, events, detail } = admission(word, approval);
    const out = events.find((event) => event.type === 'changed' && event.member.id !== id);
    const replaced = out?.type === 'changed' ? out.member : null;
    await commit(events, [
      ...(replaced === null ? [] : [record('node.revoke', approval.by, named(replaced))]),
      record('node.approve', approval.by, { ...detail, replace: approval.replace, ...more }),
    ]);
    const member = state.members.get(id)!;
    blocked.delete(id);
    waiters.get(id)?.admit(member);
    return { member, replaced };
  }

  async function refuse(request: PairingRequest, by: string, more: AuditDetail): Promise<void> {
    const { nodeId } = request;
    await commit([{ type: 'rejected', nodeId }], [record('node.reject', by, { ...identity(request), ...more })]);
    waiters.get(nodeId)?.refuse(rejected(nodeId));
  }

  /** What is new of a request is kept and said once: whoever asks again and again fills neither disk nor log. */
  async function askFor(asking: Asking): Promise<void> {
    const known = state.requests.get(asking.nodeId);
    const event = ask(state, asking, limits, now());
    if (event === null) return;
    const news = known === undefined || (event.type === 'asked' && event.request.held !== known.held);
    await commit([event], news ? [record('node.ask', asking.facts.name, identity(asking))] : []);
    if (news)
      log.info('a node waits for approval', { name: asking.facts.name, fingerprint: fingerprint(asking.nodeId) });
  }

  function waitForPerson(applicant: Applicant): Promise<Member> {
    const { promise, resolve, reject } = Promise.withResolvers<Member>();
    const { nodeId } = applicant;
    const waiter = { admit: resolve, refuse: reject };
    waiters.get(nodeId)?.refuse(new FederationError('LINK_REPLACED', 'the node asked again on another connection'));
    waiters.set(nodeId, waiter);
    const leave = (): void => reject(new FederationError('LINK_LOST', 'the node went away'));
    applicant.signal.addEventListener('abort', leave);
    if (applicant.signal.aborted) leave();
    applicant.wait(state.requests.get(nodeId)?.held ?? null);
    return promise.finally(() => {
      if (waiters.get(nodeId) === waiter) waiters.delete(nodeId);
    });
  }

  return {
    members: () => state.members.values(),
    member: (nodeId) => state.members.get(nodeId),
    requests() {
      const gone = new Set(over().map((event) => event.type === 'forgotten' && event.nodeId));
      return [...state.requests.values()].filter(({ nodeId }) => !gone.has(nodeId));
    },
    async admit(applicant) {
      // Before its turn: nobody waits for what the tailnet says of another.
      const tailnet = willAsk(applicant) ? await identify(applicant.address, applicant.signal) : null;
      const member = await inTurn(() => consider(applicant, tailnet));
      if (member !== null) return member;
      return waitForPerson(applicant);
    },
    approve: (word, approval) =>
      inTurn(async () => {
        await sweep();
        return letIn(word, approval, {});
      }),
    reject: (word, by) =>
      inTurn(async () => {
        await sweep();
        const request = findRequest(word);
        await refuse(request, by, {});
        return request;
      }),
    request: judged,
    judge: (word, by, rule) =>
      inTurn(async () => {
        await sweep();
        const asked = judged(word);
        const { act, labels, detail } = rule(asked);
        const { request } = asked;
        if (act === 'approve') await letIn(request.nodeId, { by, replace: false, labels }, detail ?? {});
        else if (act === 'reject') await refuse(request, by, detail ?? {});
        else if (detail !== null) await commit([], [record('node.judge', by, { ...identity(request), ...detail })]);
      }),
    changes: news,
    revoke: (word, by) =>
      inTurn(async () => {
        const member = findNode(
          [...state.members.values()].filter(({ revokedAt }) => revokedAt === null),
          word,
        );
        await commit([revoke(member, now())], [record('node.revoke', by, named(member))]);
        return state.members.get(member.id)!;
      }),
    createToken: (wanted, by) =>
      inTurn(async () => {
        const { name, role, labels, ttlSeconds, uses } = tokenCreateSchema.parse(wanted);
        const secret = randomBytes(32).toString('base64url');
        const expiresAt = now() + ttlSeconds * 1000;
        const token = {
          hash: sha256(secret),
          name: name ?? null,
          role,
          labels,
          createdAt: now(),
          expiresAt,
          usesLeft: uses,
          createdBy: by,
        };
        await commit(
          [...over(), { type: 'token', token }],
          [record('token.create', by, { name: token.name, role, labels, expiresAt, uses })],
        );
        return { token: formatJoinToken({ hubId, secret }), expiresAt: new Date(expiresAt).toISOString(), uses };
      }),
    token: (hash) => validToken(state, hash, now()),
    seen(nodeId) {
      void inTurn(async () => {
        const member = state.members.get(nodeId);
        if (member !== undefined) note({ ...member, lastSeenAt: now() });
      });
    },
    setDevice: (nodeId, openclaw) =>
      inTurn(async () => {
        const member = state.members.get(nodeId);
        if (member !== undefined) await commit([{ type: 'changed', member: { ...member, openclaw } }], []);
      }),
    block: (nodeId) => void blocked.add(nodeId),
    async settled() {
      await turn;
      await noted;
    },
  };
}

async function load(store: Store): Promise<Membership> {
  const { members, requests, tokens } = await store.membership();
  const events: MembershipEvent[] = [
    ...members.map((member) => ({ type: 'changed', member }) as const),
    // Version 0.1.0 kept none.
    ...requests.map(
      (request) => ({ type: 'asked', request: { ...request, tailnet: request.tailnet ?? null } }) as const,
    ),
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

function revokedMember(state: Membership, word: string): Member | undefined {
  const revoked = [...state.members.values()].filter(({ revokedAt }) => revokedAt !== null);
  const waiting = [...state.requests.values()].some(({ facts }) => facts.name === word);
  if (waiting || revoked.length === 0) return undefined;
  try {
    return findNode(revoked, word);
  } catch (error) {
    if (error instanceof FederationError && error.code === 'NODE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Whether a request says nothing that the one before did not, whenever it was made. */
function isSaid(before: PairingRequest | undefined, after: PairingRequest): boolean {
  return before !== undefined && isDeepStrictEqual({ ...before, lastAskedAt: 0 }, { ...after, lastAskedAt: 0 });
}

function askingOf({ nodeId, publicKey, facts, address }: Applicant, tailnet: TailnetMachine | null): Asking {
  return { nodeId, publicKey, facts, address, tailnet };
}

function identity({ nodeId, facts, address }: Asking): AuditDetail {
  return { node: facts.name, id: nodeId, role: facts.role, address };
}

function named({ name, id }: Member): AuditDetail {
  return { node: name, id };
}

function revoked(nodeId: string): FederationError {
  return new FederationError('REVOKED', 'this node was revoked', {
    hint: `on the master: manage-federation approve ${fingerprint(nodeId)}`,
  });
}

/** A member that wants more than the list of those who wait can take goes on with what it has. */
function unlessFull(error: unknown): void {
  if (!(error instanceof FederationError) || error.code !== 'PENDING_FULL') throw error;
}

function rejected(nodeId: string): FederationError {
  return new FederationError('FORBIDDEN', 'this node was rejected', {
    hint: `on the master, if that was a mistake: manage-federation approve ${fingerprint(nodeId)}`,
  });
}

function sha256(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '#src/adapters/log.ts';
import type { Change } from '#src/adapters/store/store.ts';
import type { NextKey } from '#src/core/admission.ts';
import { approve, factsAsMember, readmit, redeem, rekey, relink, revoke } from '#src/core/admission.ts';
import { BY_RULES } from '#src/core/approval.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Identity } from '#src/core/identity.ts';
import { machineOf } from '#src/core/identity.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Asking, PairingRequest, PendingLimits } from '#src/core/pairing.ts';
import { ask, expire, isElsewhere, quarantineOf, whyHeld } from '#src/core/pairing.ts';
import type { Approval } from '#src/core/request.ts';
import { findNode } from '#src/core/selector.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import { identifyLater } from '#src/hub/enrolment/identity.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { noSuchRequest, waitingRequest } from '#src/hub/enrolment/pairing-requests.ts';
import { rejected, revoked, rotated, unasked } from '#src/hub/enrolment/refusals.ts';
import type { Approved, JudgedRequest, RequestSource } from '#src/hub/enrolment/requests.ts';
import { createStrangerAudit } from '#src/hub/enrolment/stranger-audit.ts';
import { tokenHash } from '#src/hub/enrolment/tokens.ts';
import type { ChangeAtGateway } from '#src/hub/openclaw/device-sweep.ts';
import { createWaiters } from '#src/hub/enrolment/waiters.ts';
import type { Applicant } from '#src/link/accept.ts';

/** How a node comes into the federation and goes out of it. */
export interface Enrolment extends RequestSource {
  members(): Iterable<Member>;
  member(nodeId: string): Member | undefined;
  /** Resolves when the applicant is a member; waits for a person where it brings no token. Rejects when refused. */
  admit(applicant: Applicant): Promise<Member>;
  /** Takes a revoked node back, by id, unique id prefix or fingerprint; null where none fits. Throws REVOKED for its name. */
  readmit(word: string, approval: Approval): Promise<Approved | null>;
  /**
   * Who is meant is looked up in its turn, also by an id that it had until lately; `check` hears of it before anything
   * changes, and may throw. It is out even where that can't be kept. Throws NODE_NOT_FOUND and NODE_AMBIGUOUS.
   */
  revoke(word: string, by: string, check?: (member: Member) => void): Promise<Member>;
  /**
   * Gives a member another key; its links under the old one are the caller's to end. `check` is called in its turn, before
   * anything changes, and may throw. Throws NAME_TAKEN, REVOKED, HELD.
   */
  rekey(nodeId: string, next: NextKey, check?: () => void): Promise<Member>;
  /** Why a member that is not linked is under quarantine; null where its identity is whole. */
  quarantine(member: Member): string | null;
  /** Notes when a node was last seen; it is kept soon, and nobody waits for that. */
  seen(nodeId: string): void;
  /** Changes what there is of a member at the gateway, as it stands in its turn; one that is gone is left alone. */
  changeAtGateway: ChangeAtGateway;
}

export interface EnrolmentOptions {
  readonly membership: MembershipKeeper;
  readonly limits: PendingLimits;
  /** Tells the machine behind an address. */
  readonly identify: Identify;
  /** How often the tailnet is asked again that could not say which machine waits. */
  readonly identifyEveryMs?: number;
  readonly log: Log;
}

const IDENTIFY_EVERY_MS = 5000;

export function createEnrolment(options: EnrolmentOptions): Enrolment {
  const { membership, limits, identify, identifyEveryMs = IDENTIFY_EVERY_MS, log } = options;
  const { inTurn, commit, note, record, now } = membership;
  const state = (): Membership => membership.state();
  /** Revoked while the store could not keep it. */
  const blocked = new Set<string>();
  const waiters = createWaiters();
  const strangers = createStrangerAudit(membership);
  const changes: Enrolment['changes'] = new EventEmitter();

  membership.changes.on('request', (request, before) => {
    if (!isSaid(before, request)) changes.emit('request', judged(request));
  });

  /** What time has ended. A node that holds its line asks still. */
  const over = (): MembershipEvent[] =>
    expire(state(), now()).filter((event) => event.type !== 'forgotten' || !waiters.has(event.nodeId));
  async function sweep(): Promise<void> {
    const events = over();
    const audit = strangers.counted();
    if (events.length > 0 || audit.length > 0) await commit(events, audit);
  }
  /** As things stand now, also where nothing has happened since time ended something. */
  function standing(): Membership {
    const gone = new Set(over().flatMap((event) => (event.type === 'forgotten' ? [event.nodeId] : [])));
    if (gone.size === 0) return state();
    return { ...state(), requests: new Map([...state().requests].filter(([id]) => !gone.has(id))) };
  }

  function requestOf(id: string): PairingRequest {
    const request = state().requests.get(id);
    if (request === undefined) throw noSuchRequest(id);
    return request;
  }

  function judged(request: PairingRequest): JudgedRequest {
    const held = blocked.has(request.nodeId) ? 'it was revoked' : whyHeld(state(), request, now());
    return { request: waitingRequest(request), held };
  }

  /** Null: the applicant has to wait for a person. */
  async function consider(applicant: Applicant, identity: Identity): Promise<Member | null> {
    const asking = askingOf(applicant, identity);
    const known = state().members.get(asking.nodeId);
    if (known !== undefined && known.revokedAt === null) return considerMember(known, asking, identity);
    refuseFormer(asking.nodeId);
    if (applicant.secret !== null) {
      const hash = tokenHash(applicant.secret);
      const event = redeem(state(), asking, hash, now());
      if (event !== null) {
        await commit([event], [record('node.join', byNode(asking.facts.name), identityDetail(asking))]);
        dismiss();
        return state().members.get(asking.nodeId)!;
      }
      if (known === undefined)
        return await wish({ ...asking, token: { hash, name: state().tokens.get(hash)!.rules! } });
    }
    if (known !== undefined) throw revoked(known.id);
    return await wish(asking);
  }

  async function wish(asking: Asking): Promise<null> {
    await sweep();
    await askFor(asking);
    if (state().requests.get(asking.nodeId)?.rejected === true) throw rejected(asking.nodeId);
    return null;
  }

  async function considerMember(known: Member, asking: Asking, identity: Identity): Promise<Member | null> {
    if (blocked.has(known.id)) throw revoked(known.id);
    if (identity.kind === 'unknown' && known.tailnet !== null) throw unasked(identity.problem);
    // Where nobody is asked, its machine is what it was.
    const own = identity.kind === 'unasked' ? { ...asking, tailnet: known.tailnet } : asking;
    if (isElsewhere(known, own.tailnet)) return wish({ ...own, facts: factsAsMember(known, own) });
    const { member, more } = relink(known, own, now());
    note(member);
    if (more === null) return member;
    await sweep();
    await askFor(more).catch(unlessRefused);
    return member;
  }

  /** A node that rotated its key and did not hear that it is done. */
  function refuseFormer(nodeId: string): void {
    const now = [...state().members.values()].find((member) => formerIds(member).includes(nodeId));
    if (now !== undefined) throw now.revokedAt === null ? rotated(now) : revoked(now.id);
  }

  async function settle(
    id: string,
    events: readonly MembershipEvent[],
    approval: Approval,
    detail: AuditDetail,
  ): Promise<readonly Member[]> {
    const out = events.flatMap((event) => (event.type === 'changed' && event.member.id !== id ? [event.member] : []));
    await commit(events, [
      ...out.map((member) => record('node.revoke', approval.by, named(member))),
      record('node.approve', approval.by, { ...detail, replace: approval.replace }),
    ]);
    blocked.delete(id);
    waiters.admit(state().members.get(id)!);
    dismiss();
    return out;
  }

  /** Whoever holds a line for a request that is no more is not left waiting. */
  function dismiss(): void {
    waiters.refuseAll((id) => {
      if (state().requests.has(id)) return null;
      if (typeof state().members.get(id)?.revokedAt === 'number') return revoked(id);
      return new FederationError('LINK_REPLACED', 'this was settled while the node waited');
    });
  }

  async function letIn(request: PairingRequest, approval: Approval, more: AuditDetail): Promise<Approved> {
    const { nodeId, kind } = request;
    const events = approve(state(), request, approval, now());
    const out = await settle(nodeId, events, approval, { ...requestDetail(request), ...more });
    return { kind, ...lookOf(state().members.get(nodeId)!), replaced: out.map(({ id }) => id) };
  }

  async function refuse(request: PairingRequest, by: string, more: AuditDetail): Promise<void> {
    const { nodeId } = request;
    const audit = auditOf(request, 'node.reject', by, { ...requestDetail(request), ...more });
    await commit([{ type: 'rejected', nodeId, at: now() }], audit);
    waiters.refuse(nodeId, rejected(nodeId));
  }

  /** What keys that anybody can make cause without a person is bounded; all else has a record of its own. */
  function auditOf(request: PairingRequest, action: string, by: string, detail: AuditDetail): readonly Change[] {
    const isStrangers = request.kind === 'join' && (by === BY_RULES || by.startsWith(BY_NODE));
    return isStrangers ? strangers.records(action, by, detail) : [record(action, by, detail)];
  }

  /** Follows the one that waits until the tailnet can say which machine it is: then it is a request as any other. */
  async function identifyWaiting({ nodeId, address }: Applicant, signal: AbortSignal): Promise<void> {
    const identity = await identifyLater(identify, address, identifyEveryMs, signal);
    if (identity === null) return;
    await inTurn(async () => {
      const request = state().requests.get(nodeId);
      if (request === undefined || signal.aborted) return;
      await askFor({ ...request, tailnet: machineOf(identity), isIdentified: true });
    });
  }

  function hold(applicant: Applicant, identity: Identity): Promise<Member> {
    const judged = waiters.hold(applicant, state().requests.get(applicant.nodeId)?.held ?? null);
    if (identity.kind !== 'unknown') return judged;
    const over = new AbortController();
    identifyWaiting(applicant, AbortSignal.any([applicant.signal, over.signal])).catch((error: unknown) =>
      log.warn('a node that waits could not be looked at again', { problem: String(error) }),
    );
    return judged.finally(() => over.abort());
  }

  /** What is new of a request is kept and said once: whoever asks again and again fills neither disk nor log. */
  async function askFor(asking: Asking): Promise<void> {
    const known = state().requests.get(asking.nodeId);
    const event = ask(state(), asking, limits, now());
    if (event === null || event.type !== 'asked') return;
    const { kind, held } = event.request;
    const isNew = known === undefined || held !== known.held || kind !== known.kind;
    const action = kind === 'moved' ? 'node.quarantine' : 'node.ask';
    const detail = requestDetail(event.request);
    await commit([event], isNew ? auditOf(event.request, action, byNode(asking.facts.name), detail) : []);
    if (!isNew) return;
    log.info('a node waits for approval', { name: asking.facts.name, fingerprint: fingerprint(asking.nodeId), held });
  }

  return {
    members: () => state().members.values(),
    member: (nodeId) => state().members.get(nodeId),
    requests: () => [...standing().requests.values()].map(judged),
    async admit(applicant) {
      // Before its turn: nobody waits for what the tailnet says of another.
      const identity = await identify(applicant.address, applicant.signal);
      const member = await inTurn(() => consider(applicant, identity));
      if (member !== null) return member;
      return hold(applicant, identity);
    },
    approve: (id, approval) =>
      inTurn(async () => {
        await sweep();
        return letIn(requestOf(id), approval, {});
      }),
    readmit: (word, approval) =>
      inTurn(async () => {
        await sweep();
        const former = revokedMember(state(), word);
        if (former === undefined) return null;
        // Whoever names it may mean another that is still to come.
        if (word === former.name) throw wasRevoked(former);
        const events = readmit(state(), former, approval, now());
        const out = await settle(former.id, events, approval, { ...named(former), again: true });
        return { kind: 'join', ...lookOf(former), replaced: out.map(({ id }) => id) };
      }),
    reject: (id, by) =>
      inTurn(async () => {
        await sweep();
        const request = requestOf(id);
        await refuse(request, by, {});
        return judged(state().requests.get(id) ?? request);
      }),
    judge: (id, by, rule) =>
      inTurn(async () => {
        await sweep();
        const request = requestOf(id);
        const { act, labels, groups, detail } = rule(judged(request));
        if (act === 'approve') await letIn(request, { by, replace: false, labels, groups }, detail ?? {});
        else if (act === 'reject') await refuse(request, by, detail ?? {});
        else if (detail !== null) {
          await commit([], auditOf(request, 'node.judge', by, { ...requestDetail(request), ...detail }));
        }
      }),
    changes,
    revoke: (word, by, check = () => undefined) =>
      inTurn(async () => {
        const member = standingMember(state(), word);
        check(member);
        try {
          await commit([revoke(member, now())], [record('node.revoke', by, named(member))]);
        } catch (error) {
          blocked.add(member.id);
          throw error;
        }
        dismiss();
        return state().members.get(member.id)!;
      }),
    rekey: (nodeId, next, check = () => undefined) =>
      inTurn(async () => {
        await sweep();
        check();
        const member = state().members.get(nodeId);
        if (member === undefined || member.revokedAt !== null || blocked.has(nodeId)) throw revoked(nodeId);
        const audit = record('node.rotate-key', byNode(member.name), { ...named(member), next: next.nodeId });
        await commit(rekey(state(), member, next, now()), [audit]);
        dismiss();
        return state().members.get(next.nodeId)!;
      }),
    quarantine: (member) => quarantineOf(standing(), member),
    seen(nodeId) {
      void inTurn(async () => {
        const member = state().members.get(nodeId);
        if (member !== undefined) note({ ...member, lastSeenAt: now() });
      });
    },
    changeAtGateway: (nodeId, change, putOut) =>
      inTurn(async () => {
        const member = state().members.get(nodeId);
        if (member === undefined) return;
        const { deviceId: id, problem } = putOut ?? {};
        const detail = { kind: 'device', node: member.name, id, problem };
        const audit = putOut === undefined ? [] : [record('node.revoke', 'gateway', detail)];
        await commit([{ type: 'changed', member: { ...member, ...change(member) } }], audit);
      }),
  };
}

/** As the audit names who did it by itself: no operator, nor anything of ours, can be named so. */
const BY_NODE = 'node:';

function byNode(name: string): string {
  return `${BY_NODE}${name}`;
}

/** Also by an id that it had until lately: whoever takes a new key meanwhile is still meant. */
function standingMember({ members }: Membership, word: string): Member {
  const standing = [...members.values()].filter(({ revokedAt }) => revokedAt === null);
  try {
    return findNode(standing, word);
  } catch (error) {
    const former = standing.flatMap((member) => formerIds(member).map((id) => ({ id, name: id, member })));
    const isFormer = former.some(({ id }) => id.startsWith(word.replaceAll('-', '')));
    if (!isFormer || !(error instanceof FederationError) || error.code !== 'NODE_NOT_FOUND') throw error;
    return findNode(former, word).member;
  }
}

function wasRevoked({ id, name }: Member): FederationError {
  return new FederationError('REVOKED', `${name} was revoked, and nothing else of that name waits`, {
    hint: `manage-federation approve ${fingerprint(id)}  (takes it back)`,
  });
}

function revokedMember(state: Membership, word: string): Member | undefined {
  const revoked = [...state.members.values()].filter(({ revokedAt }) => revokedAt !== null);
  if (revoked.length === 0) return undefined;
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

function askingOf({ nodeId, publicKey, facts, address }: Applicant, identity: Identity): Asking {
  const isIdentified = identity.kind !== 'unknown';
  return { nodeId, publicKey, facts, address, tailnet: machineOf(identity), isIdentified, token: null };
}

function identityDetail({ nodeId, facts, address, tailnet }: Asking): AuditDetail {
  return { node: facts.name, id: nodeId, role: facts.role, address, machine: tailnet?.stableId ?? null };
}

function requestDetail(request: PairingRequest): AuditDetail {
  return { ...identityDetail(request), kind: request.kind };
}

function lookOf({ id, name, role }: Member): Pick<Approved, 'id' | 'name' | 'role'> {
  return { id, name, role };
}

function named({ name, id }: Member): AuditDetail {
  return { node: name, id };
}

/** A member that wants more, and may not ask for it now, goes on with what it has. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof FederationError) || !['PENDING_FULL', 'HELD'].includes(error.code)) throw error;
}

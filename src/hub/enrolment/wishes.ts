import { EventEmitter } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Log } from '#src/adapters/log.ts';
import type { Change } from '#src/adapters/store/store.ts';
import { approve } from '#src/core/admission.ts';
import { BY_RULES } from '#src/core/approval.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Membership, MembershipEvent } from '#src/core/membership.ts';
import { fingerprint } from '#src/core/node.ts';
import type { Asking, PairingRequest, PendingLimits } from '#src/core/pairing.ts';
import { ask, expire, whyHeld } from '#src/core/pairing.ts';
import type { Approval } from '#src/core/request.ts';
import { BY_NODE, byNode, namedDetail, requestDetail } from '#src/hub/enrolment/audit-details.ts';
import type { AuditDetail, MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { noSuchRequest, waitingRequest } from '#src/hub/enrolment/pairing-requests.ts';
import { rejected, revoked } from '#src/hub/enrolment/refusals.ts';
import type { Approved, JudgedRequest, RequestSource } from '#src/hub/enrolment/requests.ts';
import { createStrangerAudit } from '#src/hub/enrolment/stranger-audit.ts';
import type { Waiters } from '#src/hub/enrolment/waiters.ts';

/** What nodes ask for that is theirs to ask, until it is judged. All that changes something is called in a turn. */
export interface Wishes {
  readonly source: RequestSource;
  /** Ends what time has ended. */
  sweep(): Promise<void>;
  /** As things stand now, also where nothing has happened since time ended something. */
  standing(): Membership;
  /** Keeps what is new of it, once: whoever asks again and again fills neither disk nor log. Throws PENDING_FULL, HELD. */
  ask(asking: Asking): Promise<void>;
  /** Keeps what lets a node in, and tells all who wait what that means to them. Returns whom it put out. */
  settle(
    id: string,
    events: readonly MembershipEvent[],
    approval: Approval,
    detail: AuditDetail,
  ): Promise<readonly Member[]>;
  /** Whoever holds a line for a request that is no more is not left waiting. */
  dismiss(): void;
}

export interface WishesOptions {
  readonly membership: MembershipKeeper;
  readonly limits: PendingLimits;
  readonly waiters: Waiters<Member>;
  /** Ids of those revoked while the store could not keep it. */
  readonly blocked: Set<string>;
  readonly log: Log;
}

export function createWishes({ membership, limits, waiters, blocked, log }: WishesOptions): Wishes {
  const { inTurn, commit, record, now } = membership;
  const state = (): Membership => membership.state();
  const strangers = createStrangerAudit(membership);
  const changes: RequestSource['changes'] = new EventEmitter();

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

  async function settle(
    id: string,
    events: readonly MembershipEvent[],
    approval: Approval,
    detail: AuditDetail,
  ): Promise<readonly Member[]> {
    const out = events.flatMap((event) => (event.type === 'changed' && event.member.id !== id ? [event.member] : []));
    await commit(events, [
      ...out.map((member) => record('node.revoke', approval.by, namedDetail(member))),
      record('node.approve', approval.by, { ...detail, replace: approval.replace }),
    ]);
    blocked.delete(id);
    waiters.admit(state().members.get(id)!);
    dismiss();
    return out;
  }

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
    const models = kind === 'join' ? { models: approval.models ?? false } : {};
    const out = await settle(nodeId, events, approval, { ...requestDetail(request), ...models, ...more });
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

  const source: RequestSource = {
    requests: () => [...standing().requests.values()].map(judged),
    approve: (id, approval) =>
      inTurn(async () => {
        await sweep();
        return letIn(requestOf(id), approval, {});
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
        const { act, labels, groups, models, detail } = rule(judged(request));
        if (act === 'approve') await letIn(request, { by, replace: false, labels, groups, models }, detail ?? {});
        else if (act === 'reject') await refuse(request, by, detail ?? {});
        else if (detail !== null) {
          await commit([], auditOf(request, 'node.judge', by, { ...requestDetail(request), ...detail }));
        }
      }),
    changes,
  };
  return { source, sweep, standing, ask: askFor, settle, dismiss };
}

/** Whether a request says nothing that the one before did not, whenever it was made. */
function isSaid(before: PairingRequest | undefined, after: PairingRequest): boolean {
  return before !== undefined && isDeepStrictEqual({ ...before, lastAskedAt: 0 }, { ...after, lastAskedAt: 0 });
}

function lookOf({ id, name, role }: Member): Pick<Approved, 'id' | 'name' | 'role'> {
  return { id, name, role };
}

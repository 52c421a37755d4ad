import type { Log } from '#src/adapters/log.ts';
import type { NextKey } from '#src/core/admission.ts';
import { readmit, rekey, revoke } from '#src/core/admission.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Membership } from '#src/core/membership.ts';
import { fingerprint } from '#src/core/node.ts';
import type { PendingLimits } from '#src/core/pairing.ts';
import { quarantineOf } from '#src/core/pairing.ts';
import type { Approval } from '#src/core/request.ts';
import type { Admit } from '#src/hub/enrolment/applicants.ts';
import { admitApplicants } from '#src/hub/enrolment/applicants.ts';
import { byNode, namedDetail } from '#src/hub/enrolment/audit-details.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import { revokedMember, standingMember } from '#src/hub/enrolment/lookup.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { revoked } from '#src/hub/enrolment/refusals.ts';
import type { Approved, RequestSource } from '#src/hub/enrolment/requests.ts';
import { createWaiters } from '#src/hub/enrolment/waiters.ts';
import { createWishes } from '#src/hub/enrolment/wishes.ts';
import type { ChangeAtGateway } from '#src/hub/openclaw/device-sweep.ts';

/** How a node comes into the federation and goes out of it. */
export interface Enrolment extends RequestSource {
  members(): Iterable<Member>;
  member(nodeId: string): Member | undefined;
  readonly admit: Admit;
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
  const blocked = new Set<string>();
  const waiters = createWaiters<Member>();
  const wishes = createWishes({ membership, limits, waiters, blocked, log });
  const admit = admitApplicants({ membership, wishes, waiters, blocked, identify, identifyEveryMs, log });

  return {
    ...wishes.source,
    members: () => state().members.values(),
    member: (nodeId) => state().members.get(nodeId),
    admit,
    readmit: (word, approval) =>
      inTurn(async () => {
        await wishes.sweep();
        const former = revokedMember(state(), word);
        if (former === undefined) return null;
        // Whoever names it may mean another that is still to come.
        if (word === former.name) throw wasRevoked(former);
        const events = readmit(state(), former, approval, now());
        const out = await wishes.settle(former.id, events, approval, { ...namedDetail(former), again: true });
        return { kind: 'join', id: former.id, name: former.name, role: former.role, replaced: out.map(({ id }) => id) };
      }),
    revoke: (word, by, check = () => undefined) =>
      inTurn(async () => {
        const member = standingMember(state(), word);
        check(member);
        try {
          await commit([revoke(member, now())], [record('node.revoke', by, namedDetail(member))]);
        } catch (error) {
          blocked.add(member.id);
          throw error;
        }
        wishes.dismiss();
        return state().members.get(member.id)!;
      }),
    rekey: (nodeId, next, check = () => undefined) =>
      inTurn(async () => {
        await wishes.sweep();
        check();
        const member = state().members.get(nodeId);
        if (member === undefined || member.revokedAt !== null || blocked.has(nodeId)) throw revoked(nodeId);
        const audit = record('node.rotate-key', byNode(member.name), { ...namedDetail(member), next: next.nodeId });
        await commit(rekey(state(), member, next, now()), [audit]);
        wishes.dismiss();
        return state().members.get(next.nodeId)!;
      }),
    quarantine: (member) => quarantineOf(wishes.standing(), member),
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

function wasRevoked({ id, name }: Member): FederationError {
  return new FederationError('REVOKED', `${name} was revoked, and nothing else of that name waits`, {
    hint: `manage-federation approve ${fingerprint(id)}  (takes it back)`,
  });
}

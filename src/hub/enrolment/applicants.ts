import type { Log } from '#src/adapters/log.ts';
import { factsAsMember, redeem, relink } from '#src/core/admission.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Identity } from '#src/core/identity.ts';
import { machineOf } from '#src/core/identity.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { Membership } from '#src/core/membership.ts';
import type { Asking } from '#src/core/pairing.ts';
import { isElsewhere } from '#src/core/pairing.ts';
import { byNode, identityDetail } from '#src/hub/enrolment/audit-details.ts';
import type { Identify } from '#src/hub/enrolment/identity.ts';
import { identifyLater } from '#src/hub/enrolment/identity.ts';
import type { MembershipKeeper } from '#src/hub/enrolment/membership.ts';
import { rejected, revoked, rotated, unasked } from '#src/hub/enrolment/refusals.ts';
import { tokenHash } from '#src/hub/enrolment/tokens.ts';
import type { Waiters } from '#src/hub/enrolment/waiters.ts';
import type { Wishes } from '#src/hub/enrolment/wishes.ts';
import type { Applicant } from '#src/link/accept.ts';

export interface ApplicantsOptions {
  readonly membership: MembershipKeeper;
  readonly wishes: Wishes;
  readonly waiters: Waiters<Member>;
  /** Ids of those revoked while the store could not keep it. */
  readonly blocked: ReadonlySet<string>;
  /** Tells the machine behind an address. */
  readonly identify: Identify;
  /** How often the tailnet is asked again that could not say which machine waits. */
  readonly identifyEveryMs: number;
  readonly log: Log;
}

/** Resolves when an applicant is a member; waits for a person where it brings no token. Rejects when refused. */
export type Admit = (applicant: Applicant) => Promise<Member>;

/** Looks at each node that comes: a member, one that brings a token, or one that has to wait. */
export function admitApplicants(options: ApplicantsOptions): Admit {
  const { membership, wishes, waiters, blocked, identify, identifyEveryMs, log } = options;
  const { inTurn, commit, note, record, now } = membership;
  const state = (): Membership => membership.state();

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
        wishes.dismiss();
        return state().members.get(asking.nodeId)!;
      }
      if (known === undefined)
        return await wish({ ...asking, token: { hash, name: state().tokens.get(hash)!.rules! } });
    }
    if (known !== undefined) throw revoked(known.id);
    return await wish(asking);
  }

  async function wish(asking: Asking): Promise<null> {
    await wishes.sweep();
    await wishes.ask(asking);
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
    await wishes.sweep();
    await wishes.ask(more).catch(unlessRefused);
    return member;
  }

  /** A node that rotated its key and did not hear that it is done. */
  function refuseFormer(nodeId: string): void {
    const now = [...state().members.values()].find((member) => formerIds(member).includes(nodeId));
    if (now !== undefined) throw now.revokedAt === null ? rotated(now) : revoked(now.id);
  }

  /** Follows the one that waits until the tailnet can say which machine it is: then it is a request as any other. */
  async function identifyWaiting({ nodeId, address }: Applicant, signal: AbortSignal): Promise<void> {
    const identity = await identifyLater(identify, address, identifyEveryMs, signal);
    if (identity === null) return;
    await inTurn(async () => {
      const request = state().requests.get(nodeId);
      if (request === undefined || signal.aborted) return;
      await wishes.ask({ ...request, tailnet: machineOf(identity), isIdentified: true });
    });
  }

  function hold(applicant: Applicant, identity: Identity): Promise<Member> {
    const judged = waiters.hold(applicant.nodeId, applicant, state().requests.get(applicant.nodeId)?.held ?? null);
    if (identity.kind !== 'unknown') return judged;
    const over = new AbortController();
    identifyWaiting(applicant, AbortSignal.any([applicant.signal, over.signal])).catch((error: unknown) =>
      log.warn('a node that waits could not be looked at again', { problem: String(error) }),
    );
    return judged.finally(() => over.abort());
  }

  return async (applicant) => {
    // Before its turn: nobody waits for what the tailnet says of another.
    const identity = await identify(applicant.address, applicant.signal);
    const member = await inTurn(() => consider(applicant, identity));
    return member ?? hold(applicant, identity);
  };
}

function askingOf({ nodeId, publicKey, facts, address }: Applicant, identity: Identity): Asking {
  const isIdentified = identity.kind !== 'unknown';
  return { nodeId, publicKey, facts, address, tailnet: machineOf(identity), isIdentified, token: null };
}

/** A member that wants more, and may not ask for it now, goes on with what it has. */
function unlessRefused(error: unknown): void {
  if (!(error instanceof FederationError) || !['PENDING_FULL', 'HELD'].includes(error.code)) throw error;
}

import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import { formerIds } from '#src/core/member.ts';
import type { Carrier } from '#src/hub/openclaw/carrier.ts';
import type { Credentials } from '#src/hub/fleet/credentials.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { Fleet } from '#src/hub/fleet/fleet.ts';
import type { GatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { Approved, JudgedRequest, RequestSource, RequestsOptions } from '#src/hub/enrolment/requests.ts';
import { findMember } from '#src/hub/fleet/targets.ts';
import type { Link } from '#src/link/accept.ts';

export interface RevocationParts {
  readonly enrolment: Enrolment;
  /** All that wait, so that a word for one of them is answered with what it is. */
  readonly waiting: () => readonly JudgedRequest[];
  readonly fleet: Fleet;
  readonly credentials: Credentials;
  readonly carrier: Carrier | null;
  readonly desk: GatewayDesk;
}

/** Time that a node gets to confirm that everything ended; its link closes then in any case. */
const CONFIRM_MS = 700;

/** How a member leaves: by a word of its own, or because another node was let in under its name. */
export interface Revocation {
  /** Resolves with the node's id when nothing new can start there and what ran has been told to end. Throws FORBIDDEN for the master's own. */
  revoke(word: string, by: string): Promise<string>;
  /** The enrolment's requests; whoever is replaced by an approval is out when it resolves. */
  readonly requests: RequestSource;
  readonly readmit: RequestsOptions['readmit'];
  /** Ends a link whose node has another key by now. */
  endLink(nodeId: string, reason: FederationError): Promise<void>;
}

export function createRevocation({
  enrolment,
  waiting,
  fleet,
  credentials,
  carrier,
  desk,
}: RevocationParts): Revocation {
  async function putOut(id: string): Promise<void> {
    const member = enrolment.member(id);
    // A node that has just taken a new key may still have its link by the one before.
    await Promise.all([id, ...(member === undefined ? [] : formerIds(member))].map(endAll));
    desk.sweep();
  }

  async function endAll(id: string): Promise<void> {
    credentials.revoke(id);
    carrier?.closeFor(id);
    const link = fleet.take(id);
    if (link === undefined) return;
    await endJobs(link);
    link.close(new FederationError('REVOKED', 'this node was revoked'));
    await link.closed;
  }

  /** Ends the link that a key had from the machine that is its own no longer. */
  async function leaveMachine(link: Link): Promise<void> {
    credentials.revoke(link.nodeId, link.generation);
    carrier?.closeFor(link.nodeId);
    if (fleet.link(link.nodeId) === link) fleet.take(link.nodeId);
    await endJobs(link);
    link.close(new FederationError('REVOKED', 'the key of this node belongs to another machine now'));
    await link.closed;
  }

  async function settled(approved: Approved): Promise<Approved> {
    await Promise.all(approved.replaced.map(putOut));
    return approved;
  }

  return {
    async revoke(word, by) {
      const chosen: Member[] = [];
      try {
        const { id } = await enrolment.revoke(word, by, (member) => {
          refuseMaster(member);
          chosen.push(member);
        });
        return id;
      } catch (error) {
        // Says also what is no member and has that name.
        if (isNotFound(error)) findMember([...enrolment.members()], waiting, word);
        throw error;
      } finally {
        // It is out all the same where that can't be kept, until this hub ends; that is still said.
        for (const { id } of chosen) await putOut(id);
      }
    },
    requests: {
      ...enrolment,
      async approve(id, approval) {
        const asked = enrolment.requests().find(({ request }) => request.id === id);
        const former = fleet.link(id);
        // First, since the node that waits is let in, and its link takes the place of this one, as soon as it is approved.
        if (asked?.request.kind === 'moved' && approval.replace && former !== undefined) await leaveMachine(former);
        return settled(await enrolment.approve(id, approval));
      },
    },
    async readmit(word, approval) {
      const approved = await enrolment.readmit(word, approval);
      return approved === null ? null : settled(approved);
    },
    async endLink(nodeId, reason) {
      credentials.revoke(nodeId);
      carrier?.closeFor(nodeId);
      const link = fleet.take(nodeId);
      link?.close(reason);
      await link?.closed;
    },
  };
}

function refuseMaster({ name, role }: Member): void {
  if (role !== 'master') return;
  throw new FederationError('FORBIDDEN', `${name} is the master’s own node`, {
    hint: 'revoke another node; stopping the hub ends the federation',
  });
}

function isNotFound(error: unknown): boolean {
  return error instanceof FederationError && error.code === 'NODE_NOT_FOUND';
}

/** Resolves when the node said that all has ended, or when it had its time. */
async function endJobs(link: Link): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, CONFIRM_MS);
  try {
    const stream = link.request({ ':method': 'POST', ':path': '/revoke' }, { endStream: true });
    stream.on('error', () => resolve());
    stream.on('close', () => resolve());
    stream.resume();
    await promise;
  } catch {
    // The link is gone already, which is all that was wanted.
  } finally {
    clearTimeout(timer);
  }
}

import { FederationError } from '#src/core/errors.ts';
import type { Approval, Member } from '#src/core/membership.ts';
import type { Carrier } from '#src/hub/carrier.ts';
import type { Credentials } from '#src/hub/credentials.ts';
import type { Enrolment } from '#src/hub/enrolment.ts';
import type { Fleet } from '#src/hub/fleet.ts';
import type { GatewayDesk } from '#src/hub/gateway.ts';
import { findMember } from '#src/hub/targets.ts';
import type { Link } from '#src/link/accept.ts';

export interface RevocationParts {
  readonly enrolment: Enrolment;
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
  /** Admits a node; the member that it replaces is out when this resolves. */
  approve(word: string, approval: Approval): Promise<Member>;
}

export function createRevocation({ enrolment, fleet, credentials, carrier, desk }: RevocationParts): Revocation {
  async function putOut(id: string): Promise<void> {
    credentials.revoke(id);
    carrier?.closeFor(id);
    const link = fleet.take(id);
    if (link !== undefined) {
      await endJobs(link);
      link.close(new FederationError('REVOKED', 'this node was revoked'));
      await link.closed;
    }
    desk.sweep();
  }

  return {
    async revoke(word, by) {
      const { id, name, role } = findMember([...enrolment.members()], enrolment.requests(), word);
      if (role === 'master') {
        throw new FederationError('FORBIDDEN', `${name} is the master’s own node`, {
          hint: 'revoke another node; stopping the hub ends the federation',
        });
      }
      try {
        await enrolment.revoke(id, by);
      } catch (error) {
        // It is out all the same, until this hub ends; that it is not kept is still said.
        enrolment.block(id);
        await putOut(id);
        throw error;
      }
      await putOut(id);
      return id;
    },
    async approve(word, approval) {
      const { member, replaced } = await enrolment.approve(word, approval);
      if (replaced !== null) await putOut(replaced.id);
      return member;
    },
  };
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

import { FederationError } from '#src/core/errors.ts';
import type { Carrier } from '#src/hub/carrier.ts';
import type { Credentials } from '#src/hub/credentials.ts';
import type { Enrolment } from '#src/hub/enrolment.ts';
import type { Fleet } from '#src/hub/fleet.ts';
import type { GatewayDesk } from '#src/hub/gateway.ts';
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

/** Puts a node out: nothing new can start when this resolves, and what ran there has been told to end. */
export function revoker({ enrolment, fleet, credentials, carrier, desk }: RevocationParts) {
  return async (word: string, by: string): Promise<string> => {
    const { id } = await enrolment.revoke(word, by);
    credentials.revoke(id);
    carrier?.closeFor(id);
    const link = fleet.link(id);
    if (link !== undefined) await endJobs(link);
    await fleet.drop(id, new FederationError('REVOKED', 'this node was revoked'));
    desk.sweep();
    return id;
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

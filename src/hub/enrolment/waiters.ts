import { FederationError } from '#src/core/errors.ts';
import type { Member } from '#src/core/member.ts';
import type { Applicant } from '#src/link/accept.ts';

/** The lines that are held by nodes which wait for a judgement, one for each node. */
export interface Waiters {
  /** Tells the applicant that it waits. Rejects when it is refused, has gone, or asks again on another line. */
  hold(applicant: Applicant, held: string | null): Promise<Member>;
  has(nodeId: string): boolean;
  admit(member: Member): void;
  refuse(nodeId: string, error: FederationError): void;
  /** Refuses all for whom `why` has a reason. */
  refuseAll(why: (nodeId: string) => FederationError | null): void;
}

interface Waiter {
  readonly admit: (member: Member) => void;
  readonly refuse: (error: FederationError) => void;
}

export function createWaiters(): Waiters {
  const waiters = new Map<string, Waiter>();

  return {
    hold(applicant, held) {
      const { promise, resolve, reject } = Promise.withResolvers<Member>();
      const { nodeId } = applicant;
      const waiter = { admit: resolve, refuse: reject };
      waiters.get(nodeId)?.refuse(new FederationError('LINK_REPLACED', 'the node asked again on another connection'));
      waiters.set(nodeId, waiter);
      const leave = (): void => reject(new FederationError('LINK_LOST', 'the node went away'));
      applicant.signal.addEventListener('abort', leave);
      if (applicant.signal.aborted) leave();
      applicant.wait(held);
      return promise.finally(() => {
        if (waiters.get(nodeId) === waiter) waiters.delete(nodeId);
      });
    },
    has: (nodeId) => waiters.has(nodeId),
    admit: (member) => waiters.get(member.id)?.admit(member),
    refuse: (nodeId, error) => waiters.get(nodeId)?.refuse(error),
    refuseAll(why) {
      for (const [nodeId, waiter] of waiters) {
        const error = why(nodeId);
        if (error !== null) waiter.refuse(error);
      }
    },
  };
}

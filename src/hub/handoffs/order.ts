import { FederationError } from '#src/core/errors.ts';
import type { HandoffRecord } from '#src/core/handoff/record.ts';
import type { Book } from '#src/hub/handoffs/book.ts';
import { askerForNodes } from '#src/core/policy.ts';
import type { HandoffOrder } from '#src/protocol/handoffs.ts';

/** What a node is given of a handoff now: the times that are left of it. Throws STORE_DAMAGED. */
export async function orderOf(book: Pick<Book, 'work'>, record: HandoffRecord): Promise<HandoffOrder> {
  const { id, attempt, agent, asker, approval, deadline, idleTimeoutMs, queueUntil, hops } = record;
  const work = await book.work(id);
  if (work === null) throw new FederationError('STORE_DAMAGED', 'what a handoff is about is not there any more');
  const now = Date.now();
  return {
    ...{ id, attempt, asker: askerForNodes(asker), idleTimeoutMs, hops },
    ...{ task: work.task, context: work.context, files: [...work.files] },
    agent: agent ?? '',
    ...(approval === null ? {} : { approval }),
    leftMs: deadline === null ? null : Math.max(1, deadline - now),
    queueTimeoutMs: Math.max(1, queueUntil - now),
  };
}

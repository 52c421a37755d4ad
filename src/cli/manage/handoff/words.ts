import { FederationError } from '#src/core/errors.ts';
import type { HandoffView } from '#src/protocol/handoffs.ts';
import { handoffIdSchema } from '#src/protocol/handoffs.ts';

/** An id as it was typed, in whatever letters. Throws USAGE. */
export function handoffId(word: string): string {
  const { success, data } = handoffIdSchema.safeParse(word.toUpperCase());
  if (success) return data;
  throw new FederationError('USAGE', `${JSON.stringify(word)} is not a handoff’s id`, {
    hint: 'manage-federation handoff list',
  });
}

/** `home/main`; what the caller named where no node has it yet. */
export function placeText({ node, agent, target }: Pick<HandoffView, 'node' | 'agent' | 'target'>): string {
  if (node === null) return target;
  return agent === null ? node.name : `${node.name}/${agent}`;
}

/** How it stands, in a few words. */
export function standingText(view: HandoffView): string {
  const { state, position, problem, cancelling } = view;
  const parts = [
    state === 'placed' ? 'waits there' : state === 'waiting' ? 'waits' : state,
    ...(position === null ? [] : [`place ${position} in the queue`]),
    ...(cancelling && view.endedAt === null ? ['its end was asked for'] : []),
    ...(problem === null ? [] : [problem]),
  ];
  return parts.join(': ');
}

import type { Action, Step } from '#src/deploy/action.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import type { Facts } from '#src/deploy/facts.ts';

/** Whether a step changes something; what is left of the others are their checks. */
export function changes({ actions }: Step): boolean {
  return actions.some((action) => kindOf(action).isCheck !== true);
}

/** The actions that the machine, as the facts have it, still needs. */
export function needed(facts: Facts, actions: readonly Action[]): Action[] {
  return actions.filter((action) => kindOf(action).isSo?.(action, facts) !== true);
}

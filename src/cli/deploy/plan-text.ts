import { wrapped } from '#src/cli/deploy/wrap.ts';
import type { Action, Plan, Step } from '#src/deploy/action.ts';
import { kindOf } from '#src/deploy/actions/kinds.ts';
import { changes } from '#src/deploy/plan/already.ts';

/** How each step stands before anything is done, with one line for each thing that is to be done. */
export function planLines({ steps, notes }: Plan, width: number): string[] {
  return [
    ...steps.flatMap((step) => [
      ...wrapped(MARKS[stateOf(step)], step.title, width),
      ...step.actions.flatMap((action) => wrapped(ACTION_MARK, actionText(action), width)),
    ]),
    ...notes.flatMap((note) => wrapped('note: ', note, width)),
  ];
}

const MARKS = { already: 'already so  ', check: 'to check    ', todo: 'to do       ' } as const;
const ACTION_MARK = '            - ';

function stateOf(step: Step): keyof typeof MARKS {
  if (step.actions.length === 0) return 'already';
  return changes(step) ? 'todo' : 'check';
}

/** One line, in the imperative, without a secret. */
export function actionText(action: Action): string {
  return kindOf(action).describe(action);
}

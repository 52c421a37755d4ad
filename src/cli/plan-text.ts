import { wrapped } from '#src/cli/wrap.ts';
import type { Action, Plan, Step } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { changes } from '#src/deploy/plan/already.ts';

/** How each step stands before anything is done, with one line for each thing that is to be done. */
export function planLines({ steps, notes }: Plan, describe: (action: Action) => string, width: number): string[] {
  return [
    ...steps.flatMap((step) => [
      ...wrapped(MARKS[stateOf(step)], step.title, width),
      ...step.actions.flatMap((action) => wrapped(ACTION_MARK, describe(action), width)),
    ]),
    ...notes.flatMap((note) => wrapped('note: ', note, width)),
  ];
}

/** The diffs of files that a person has, and that were not written by a deployment. */
export function changeLines(
  { steps }: Plan,
  facts: Facts,
  change: (action: Action, facts: Facts) => readonly string[] | null,
): string[] {
  return steps.flatMap(({ actions }) => actions).flatMap((action) => change(action, facts) ?? []);
}

const MARKS = { already: 'already so  ', check: 'to check    ', todo: 'to do       ' } as const;
const ACTION_MARK = '            - ';

function stateOf(step: Step): keyof typeof MARKS {
  if (step.actions.length === 0) return 'already';
  return changes(step) ? 'todo' : 'check';
}

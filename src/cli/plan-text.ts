import { wrapped } from '#src/cli/wrap.ts';
import type { Action, Plan, Step } from '#src/deploy/action.ts';
import { changes } from '#src/deploy/plan/already.ts';

/** How each step stands before anything is done, with one line for each thing that is to be done. */
export function planLines({ steps, notes }: Plan, describe: (action: Action) => string, width: number): string[] {
  return [
    ...steps.flatMap((step) => [
      ...wrapped(`${MARKS[stateOf(step)]}  ${step.title}`, MARK_WIDTH, width),
      ...step.actions.flatMap((action) =>
        wrapped(`${' '.repeat(MARK_WIDTH)}- ${describe(action)}`, MARK_WIDTH + 2, width),
      ),
    ]),
    ...notes.flatMap((note) => wrapped(`note: ${note}`, 6, width)),
  ];
}

const MARKS = { already: 'already so', check: 'to check  ', todo: 'to do     ' } as const;
const MARK_WIDTH = 12;

function stateOf(step: Step): keyof typeof MARKS {
  if (step.actions.length === 0) return 'already';
  return changes(step) ? 'todo' : 'check';
}

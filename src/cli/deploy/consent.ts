import { say } from '#src/adapters/terminal.ts';
import { canAsk } from '#src/cli/confirm.ts';
import type { Deployment } from '#src/cli/deploy/tools.ts';
import { fileChangeLines } from '#src/cli/deploy/file-changes.ts';
import { planLines } from '#src/cli/deploy/plan-text.ts';
import { askToGoOn } from '#src/cli/deploy/question.ts';
import { widthOf } from '#src/cli/deploy/wrap.ts';
import { FederationError } from '#src/core/errors.ts';
import type { Plan } from '#src/deploy/action.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { changesNothing } from '#src/deploy/plan.ts';

/** Shows what will be done, and asks. A plan that changes nothing needs no consent. Throws CONFIRMATION_NEEDED. */
export async function consent(plan: Plan, facts: Facts, { flags, signal }: Deployment): Promise<void> {
  // Who reads JSON and has agreed beforehand wants no words.
  if (flags.json !== true || flags.yes !== true) {
    const width = widthOf(process.stderr);
    for (const line of planLines(plan, width)) say(line);
    for (const line of fileChangeLines(plan, facts)) say(line);
  }
  if (changesNothing(plan)) {
    if (flags.json !== true) say('nothing to change');
    return;
  }
  if (flags.yes === true) return;
  if (canAsk()) return askToGoOn('do this?', signal);
  throw new FederationError('CONFIRMATION_NEEDED', 'there is no terminal to ask on; nothing was done', {
    hint: 'add --yes, or look first with --dry-run',
  });
}

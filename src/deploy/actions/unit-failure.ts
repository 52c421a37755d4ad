import { FederationError } from '#src/core/errors.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { journalCommand, journalOf, systemctl } from '#src/deploy/actions/systemctl.ts';

/** One failure may be chance, where something else was not there yet. */
const RESTARTS = 2;

/** Whether a unit ends again and again: systemd has started it by itself (`NRestarts`) since somebody did. */
export async function keepsFailing(context: Context, { name, scope }: UnitName): Promise<boolean> {
  const { stdout } = await systemctl(context, scope, ['show', '--property', 'NRestarts', '--value', name]);
  return Number(stdout) >= RESTARTS;
}

/** START_FAILED with the unit's own last error, or what it said last; all of its last words are shown too. */
export async function notStarted(
  context: Context,
  { name, scope }: UnitName,
  otherwise: string,
): Promise<FederationError> {
  const journal = await journalOf(context, scope, name);
  for (const line of journal) context.progress(line);
  const own = journal.filter((line) => !line.startsWith(`${name}: `) && !SYSTEMD.test(line));
  const last = own.findLast((line) => line.startsWith('error:')) ?? own.at(-1) ?? otherwise;
  return new FederationError('START_FAILED', `${name} does not start: ${last.replace(/^error: /, '')}`, {
    hint: journalCommand(context, { name, scope }),
  });
}

/** How systemd begins what it says of a unit itself, beside the unit's name. */
const SYSTEMD = /^(?:Start(?:ing|ed)|Stopp(?:ing|ed)|Failed to start) /;

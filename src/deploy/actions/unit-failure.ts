import { FederationError } from '#src/core/errors.ts';
import type { UnitName } from '#src/deploy/action.ts';
import type { Context } from '#src/deploy/actions/context.ts';
import { journalOf, systemctl } from '#src/deploy/actions/systemctl.ts';

/** One failure may be chance, where something else was not there yet. */
const RESTARTS = 2;

/** Whether a unit ends again and again: systemd has started it by itself (`NRestarts`) since somebody did. */
export async function keepsFailing(context: Context, { name, scope }: UnitName): Promise<boolean> {
  const { stdout } = await systemctl(context, scope, ['show', '--property', 'NRestarts', '--value', name]);
  return Number(stdout) >= RESTARTS;
}

/** START_FAILED with the last words of the unit, which are shown too; `otherwise` where it said nothing. */
export async function notStarted(
  context: Context,
  { name, scope }: UnitName,
  otherwise: string,
): Promise<FederationError> {
  const journal = await journalOf(context, scope, name);
  for (const line of journal) context.progress(line);
  const last = journal.length > 0 ? journal.join(' · ') : otherwise;
  return new FederationError('START_FAILED', `${name} does not start`, {
    hint: `journalctl ${scope === 'user' ? '--user ' : ''}-u ${name}; its last words: ${last}`,
  });
}

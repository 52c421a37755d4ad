import { parseDocument } from 'yaml';
import { EXEC_MODES } from '#src/cli/deploy/flag-values.ts';
import type { DeployFlags } from '#src/cli/deploy/flags.ts';
import type { Role } from '#src/core/node.ts';
import type { Facts } from '#src/deploy/facts.ts';
import { fileIn } from '#src/deploy/facts.ts';
import type { ExecMode } from '#src/deploy/wanted.ts';
import { DEFAULTS, execMode } from '#src/deploy/wanted.ts';

/**
 * What was chosen for this machine before, which counts where no flag says otherwise: a second run must not widen what
 * the first one narrowed. What another machine says it is told is believed where it concerns that machine alone.
 */
export function earlierWish(facts: Facts, role: Role, { ssh }: Pick<DeployFlags, 'ssh'>): typeof DEFAULTS {
  const { record } = facts;
  if (record === null || record.state === 'kept' || record.wanted.role !== role) return DEFAULTS;
  const { name, light, commands, keepGateway, useModels, port, telegram } = record.wanted;
  const own = { light, telegram, exec: earlierExec(facts, record.wanted) };
  return ssh === undefined
    ? { ...DEFAULTS, ...own, name, commands, keepGateway, useModels, port }
    : { ...DEFAULTS, ...own };
}

/** The narrower of what was asked for and what stands in the settings, where a person may have narrowed it since. */
function earlierExec(facts: Facts, before: { readonly role: Role; readonly exec: ExecMode | null }): ExecMode | null {
  const settings = parseDocument(fileIn(facts, facts.place.workerSettings)?.text ?? '');
  // What can't be read is refused where it would be written.
  const mode = settings.errors.length > 0 ? null : settings.getIn(['worker', 'exec', 'mode']);
  const found = EXEC_MODES.findIndex((each) => each === mode);
  return found > EXEC_MODES.indexOf(execMode(before)) ? EXEC_MODES[found]! : before.exec;
}

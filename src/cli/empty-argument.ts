import type { Command } from 'commander';
import { FederationError } from '#src/core/errors.ts';

/**
 * What is empty is most likely a variable that is not set, and names nobody. Of words that are a command to run, unless
 * that stands behind dashes, only the node is a name; an empty command is refused by whoever reads it. Throws USAGE.
 */
export function refuseEmpty(command: Command, hasDashes: boolean): void {
  const empty = namesOf(command, hasDashes).indexOf('');
  if (empty !== -1) {
    throw wrongUse(`no ${whatOf(command, empty)} is given`, `${pathOf(command)} ${command.usage()}`);
  }
  for (const option of optionsOf(command)) {
    if (valueOf(command, option.attributeName()) === '') {
      throw wrongUse(`${option.long}: nothing is given`, option.flags.replace(/^-\w, /, ''));
    }
  }
}

/** Arguments that name nobody. */
const WORDS: ReadonlySet<string | undefined> = new Set(['task', 'message']);

function whatOf({ registeredArguments }: Command, at: number): string {
  const name = registeredArguments[at]?.name();
  return name !== undefined && WORDS.has(name) ? name : 'name';
}

function namesOf(command: Command, hasDashes: boolean): readonly string[] {
  const isCommandLine = command.registeredArguments.some((argument) => argument.name() === 'words');
  if (!isCommandLine || hasDashes) return command.args;
  return command.name() === 'exec' && command.opts<{ all?: true }>().all !== true ? command.args.slice(0, 1) : [];
}

function optionsOf(command: Command): Command['options'] {
  return [...command.options, ...(command.parent === null ? [] : optionsOf(command.parent))];
}

function valueOf(command: Command, name: string): unknown {
  return command.optsWithGlobals<Record<string, unknown>>()[name];
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

function wrongUse(message: string, hint: string): FederationError {
  return new FederationError('USAGE', message, { hint: hint.replace('[options] ', '') });
}

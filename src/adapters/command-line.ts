import type { Command } from 'commander';
import { CommanderError } from 'commander';
import { FederationError } from '#src/core/errors.ts';

/**
 * Runs a command line; returns the exit code that its action set, 0 after help and version.
 * Throws USAGE, with the help to read, for words that the command does not take.
 */
export async function runCommandLine(command: Command, argv: readonly string[]): Promise<void> {
  const used = quiet(command, command.name());
  try {
    await used.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
}

/** Commander's own words go through us, so that every error has the same two lines. */
function quiet(command: Command, path: string): Command {
  command.configureOutput({ writeErr: () => undefined }).exitOverride((error) => {
    throw error.exitCode === 0 ? error : usageError(command, path, error);
  });
  for (const sub of command.commands) quiet(sub, `${path} ${sub.name()}`);
  return command;
}

function usageError(command: Command, path: string, error: CommanderError): FederationError {
  const [first = '', second = ''] = error.message.replace(/^error: /, '').split('\n');
  const guess = /\(Did you mean (.*)\?\)/.exec(second)?.[1];
  if (guess !== undefined) return wrongUse(first, `did you mean ${guess}? (${path} --help)`);
  if (error.code === 'commander.excessArguments' && command.commands.length > 0) {
    const known = command.commands.map((sub) => sub.name()).join(' or ');
    return wrongUse(`unknown command '${command.args[0]}'`, `did you mean ${known}? (${path} --help)`);
  }
  return wrongUse(first === '(outputHelp)' || first === '' ? 'no command given' : first, `${path} --help`);
}

function wrongUse(message: string, hint: string): FederationError {
  return new FederationError('USAGE', message, { hint });
}

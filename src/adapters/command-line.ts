import type { Command } from 'commander';
import { CommanderError } from 'commander';
import { FederationError } from '#src/core/errors.ts';

/**
 * Runs a command line; returns the exit code that its action set, 0 after help and version.
 * Throws USAGE, with the help to read, for words that the command does not take.
 */
export async function runCommandLine(command: Command, argv: readonly string[]): Promise<void> {
  const used = quiet(command);
  try {
    await used.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageError(command, error);
  }
}

/** Commander's own words go through us, so that every error has the same two lines. */
function quiet(command: Command): Command {
  command.exitOverride().configureOutput({ writeErr: () => undefined });
  for (const sub of command.commands) quiet(sub);
  return command;
}

function usageError(command: Command, error: CommanderError): FederationError {
  const [first = '', second = ''] = error.message.replace(/^error: /, '').split('\n');
  const guess = /\(Did you mean (.*)\?\)/.exec(second)?.[1];
  const message = first === '(outputHelp)' || first === '' ? 'no command given' : first;
  return new FederationError('USAGE', message, {
    hint: guess === undefined ? `${command.name()} --help` : `did you mean ${guess}? (${command.name()} --help)`,
  });
}

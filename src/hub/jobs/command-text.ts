import { shellWord } from '#src/core/shell-word.ts';
import type { Command } from '#src/protocol/worker-api.ts';

/** A command as a person would type it, for lists and logs. */
export function commandText(command: Command): string {
  return command.shell ?? (command.argv ?? []).map(shellWord).join(' ');
}

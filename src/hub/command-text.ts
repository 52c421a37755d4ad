import type { Command } from '#src/protocol/worker-api.ts';

/** A command as a person would type it, for lists and logs. */
export function commandText(command: Command): string {
  return command.shell ?? (command.argv ?? []).map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

import { harmless } from '#src/adapters/terminal.ts';

/**
 * What a machine wrote, with a mark before each of its lines: a line without it is the plugin’s own, and no output can
 * pass for the word of another machine, or for the end of its own. '' for nothing.
 */
export function quoted(text: string): string {
  if (text === '') return '';
  const lines = text.replace(/\n$/, '').split(LINE_ENDS);
  return lines.map((line) => `| ${line}`).join('\n');
}

/** A text that somebody else chose, within a line of the plugin’s own. */
export function oneLine(text: string): string {
  return harmless(text.split(LINE_ENDS).join('⏎'));
}

const LINE_ENDS = /[\n\u2028\u2029]/;

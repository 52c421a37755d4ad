/** A block in which a chat reads nothing as Markdown, as a link or as somebody’s name. */
export function block(lines: readonly string[]): string {
  const fence = '`'.repeat(Math.max(3, longestRun(lines.join('\n')) + 1));
  return `${fence}\n${lines.join('\n')}\n${fence}`;
}

/** Words that no chat takes for more than words. */
const PLAIN = /^[\p{L}\p{M}\p{N}()'’ +=-]*$/u;

/** What somebody else chose, within a line: as it is where it is plain words, else as code, in which nothing is read. */
export function asCode(text: string): string {
  return PLAIN.test(text) ? text : code(text);
}

export function code(text: string): string {
  const ticks = '`'.repeat(longestRun(text) + 1);
  const room = /^`|`$/.test(text) ? ' ' : '';
  return `${ticks}${room}${text}${room}${ticks}`;
}

function longestRun(text: string): number {
  return Math.max(0, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
}

/**
 * A line that somebody else chose, for where a chat takes no Markdown and still makes links of what looks like one: what
 * it goes by is put in signs that look alike. To be looked at for a moment, and not to be copied.
 */
export function unlinked(line: string): string {
  return line
    .replace(/(?<=[\p{L}\p{N}])\.(?=\p{L})/gu, '\u2024')
    .replaceAll('://', ':\u2215\u2215')
    .replace(/(?<![\p{L}\p{N}])\/(?=\p{L})/gu, '\u2215')
    .replace(/@(?=[\p{L}\p{N}_])/gu, '\uff20')
    .replace(/#(?=[\p{L}\p{N}_])/gu, '\uff03');
}

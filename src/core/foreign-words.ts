const MAX_SHOWN = 64;
const MAX_LISTED = 8;

/** A text that somebody else chose: short, and with nothing in it that steers a terminal or looks like another letter. */
export function shown(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
  return cut.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Several of them, at most eight. */
export function listed(words: readonly string[]): string {
  const some = words.slice(0, MAX_LISTED).map(shown).join(', ');
  return words.length > MAX_LISTED ? `${some} and ${words.length - MAX_LISTED} more` : some;
}

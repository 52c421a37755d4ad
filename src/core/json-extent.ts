/** How much there may be in a JSON text of somebody who is not trusted. */
interface JsonBounds {
  /** Levels of lists and objects. */
  readonly depth: number;
  /** Lists, objects, texts, and what stands behind a comma. */
  readonly values: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
/** With the next bit cleared `{` is `[`, and `}` is `]`. */
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CASE_BIT = 0x20;

/**
 * Whether a JSON text, as UTF-8, stays within bounds. Told by its marks alone, each byte looked at once: what is not JSON at all
 * is for a parser to say. A parser takes a hundred times as long for what is all marks as for as much text.
 */
export function isWithin(json: Uint8Array, { depth, values }: JsonBounds): boolean {
  let level = 0;
  let count = 1;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) {
      at = endOfText(json, at + 1);
      count++;
    } else if (byte === COMMA) count++;
    else if ((byte & ~CASE_BIT) === OPEN) {
      level++;
      count++;
    } else if ((byte & ~CASE_BIT) === CLOSE) level--;
    if (level > depth || count > values) return false;
  }
  return true;
}

/** Where the quote stands that ends a text; the length of all where none does. */
function endOfText(json: Uint8Array, start: number): number {
  let at = start;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}

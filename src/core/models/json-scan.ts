/** Bytes of a body, from the first to before the last. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What a value at the top of a JSON object is, as far as it is of interest. */
export interface Found {
  readonly key: string;
  readonly span: Span;
  /** A text, `true`, `false` or a number as it is written; null for what is longer than `MAX_CAUGHT`, nested or `null`. */
  readonly value: string | boolean | null;
  readonly isText: boolean;
}

export interface JsonScan {
  /** The next bytes of the body. */
  push(chunk: Buffer): void;
  /** `object`: a whole JSON object and nothing behind it; `open`: the beginning of one; `broken`: something else. */
  state(): 'object' | 'open' | 'broken';
}

/** Bytes of a key or a value that are looked at. */
const MAX_CAUGHT = 4096;

const [QUOTE, BACKSLASH, COLON, COMMA, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [
  0x22, 0x5c, 0x3a, 0x2c, 0x7b, 0x7d, 0x5b, 0x5d,
];

/** Where in the object the next byte is. */
const BEFORE = 0;
const BEFORE_KEY = 1;
const AFTER_COMMA = 2;
const BEFORE_COLON = 3;
const BEFORE_VALUE = 4;
const IN_LITERAL = 5;
const AFTER_VALUE = 6;
const OVER = 7;
const BROKEN = 8;

/** 1: opens a text or one more level, 2: closes a level. */
const MARKS = new Uint8Array(256);
MARKS[QUOTE] = MARKS[OPEN] = MARKS[OPEN_LIST] = 1;
MARKS[CLOSE] = MARKS[CLOSE_LIST] = 2;
const LITERAL = new Uint8Array(256);
for (const char of '-+.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ') LITERAL[char.charCodeAt(0)] = 1;

/** How far a quote is looked for byte by byte before the search that costs a call. */
const NEAR = 32;

/**
 * Walks through a JSON object as its bytes come and tells the values at its top whose keys `wants`. Of what is nested it
 * minds texts and brackets alone, so that megabytes of it pass at the speed of a search.
 */
export function scanJson(wants: (key: string) => boolean, onFound: (found: Found) => void): JsonScan {
  let offset = 0;
  let place = BEFORE;
  let depth = 0;
  let inText = false;
  let isEscaped = false;
  let key = '';
  let start = 0;
  let isWanted = false;
  let caught: Buffer[] | null = null;
  let caughtBytes = 0;

  function push(chunk: Buffer): void {
    const end = chunk.length;
    let at = 0;
    while (at < end && place !== BROKEN) {
      if (inText) at = throughText(chunk, at);
      else if (depth > 1) at = throughNested(chunk, at);
      else if (place === IN_LITERAL) at = throughLiteral(chunk, at);
      else at = step(chunk, at);
    }
    offset += end;
  }

  function throughText(chunk: Buffer, from: number): number {
    const close = closingQuote(chunk, from);
    if (caught !== null) keep(chunk.subarray(from, close === -1 ? chunk.length : close));
    if (close === -1) return chunk.length;
    inText = false;
    if (depth === 1) textEnded(offset + close + 1);
    return close + 1;
  }

  function closingQuote(chunk: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const near = Math.min(at + NEAR, chunk.length);
      for (; at < near; at++) {
        const byte = chunk[at];
        if (isEscaped) isEscaped = false;
        else if (byte === BACKSLASH) isEscaped = true;
        else if (byte === QUOTE) return at;
      }
      if (at === chunk.length) return -1;
      if (isEscaped) {
        isEscaped = false;
        at += 1;
      }
      const quote = chunk.indexOf(QUOTE, at);
      const stop = quote === -1 ? chunk.length : quote;
      let slashes = 0;
      while (stop - slashes > at && chunk[stop - slashes - 1] === BACKSLASH) slashes += 1;
      if (quote === -1) {
        isEscaped = slashes % 2 === 1;
        return -1;
      }
      if (slashes % 2 === 0) return quote;
      at = quote + 1;
    }
  }

  function throughNested(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const mark = MARKS[chunk[at]!];
      if (mark === 0) continue;
      if (mark === 2) {
        depth -= 1;
        if (depth > 1) continue;
        valueEnded(offset + at + 1, null, false);
        return at + 1;
      }
      if (chunk[at] === QUOTE) {
        inText = true;
        return at + 1;
      }
      depth += 1;
    }
    return chunk.length;
  }

  function throughLiteral(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && LITERAL[chunk[at]!] === 1) at += 1;
    if (caught !== null) keep(chunk.subarray(from, at));
    if (at === chunk.length) return at;
    const text = taken();
    valueEnded(offset + at, text === 'true' ? true : text === 'false' ? false : text === 'null' ? null : text, false);
    return at;
  }

  /** One byte at the top of the object, or outside it. */
  function step(chunk: Buffer, at: number): number {
    const byte = chunk[at]!;
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at + 1;
    if (place === BEFORE && byte === OPEN) {
      place = BEFORE_KEY;
      depth = 1;
    } else if ((place === BEFORE_KEY || place === AFTER_COMMA) && byte === QUOTE) {
      inText = true;
      caught = [];
    } else if (place === BEFORE_COLON && byte === COLON) place = BEFORE_VALUE;
    else if (place === BEFORE_VALUE) return value(byte, at);
    else if (place === AFTER_VALUE && byte === COMMA) place = AFTER_COMMA;
    else if ((place === AFTER_VALUE || place === BEFORE_KEY) && byte === CLOSE) {
      place = OVER;
      depth = 0;
    } else if (!(place === BEFORE && isByteOrderMark(byte, offset + at))) place = BROKEN;
    return at + 1;
  }

  function value(byte: number, at: number): number {
    start = offset + at;
    caught = isWanted ? [] : null;
    if (byte === QUOTE) inText = true;
    else if (byte === OPEN || byte === OPEN_LIST) {
      caught = null;
      depth = 2;
    } else if (LITERAL[byte] === 1) {
      place = IN_LITERAL;
      return at;
    } else place = BROKEN;
    return at + 1;
  }

  function textEnded(end: number): void {
    const text = taken();
    if (place === BEFORE_VALUE) return valueEnded(end, text === null ? null : decoded(text), true);
    // What is longer than any key that could be wanted is none.
    key = text === null ? '' : (decoded(text) ?? '');
    isWanted = wants(key);
    place = BEFORE_COLON;
  }

  function valueEnded(end: number, found: string | boolean | null, isText: boolean): void {
    place = AFTER_VALUE;
    if (isWanted) onFound({ key, span: { start, end }, value: found, isText });
  }

  function keep(bytes: Buffer): void {
    caughtBytes += bytes.length;
    if (caughtBytes <= MAX_CAUGHT) caught?.push(bytes);
  }

  function taken(): string | null {
    const [first, ...rest] = caught ?? [];
    const isWhole = caught !== null && caughtBytes <= MAX_CAUGHT;
    caught = null;
    caughtBytes = 0;
    if (!isWhole) return null;
    if (first === undefined) return '';
    return (rest.length === 0 ? first : Buffer.concat([first, ...rest])).toString('utf8');
  }

  return {
    push,
    state: () => (place === OVER ? 'object' : place === BROKEN ? 'broken' : 'open'),
  };
}

function isByteOrderMark(byte: number, position: number): boolean {
  return byte === [0xef, 0xbb, 0xbf][position];
}

/** The text that stands between two quotes; null where it is none. */
function decoded(text: string): string | null {
  if (!text.includes('\\')) return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return null;
  }
}

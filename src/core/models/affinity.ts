/** What a request shows of the conversation that it is part of. */
export interface AffinitySigns {
  /** Who asks: what two consumers write means two conversations. */
  readonly consumer: string;
  /** Of the header `x-federation-session` or `session-id`. */
  readonly session: string | null;
  /** Of the body. */
  readonly promptCacheKey: string | null;
  /** Of the body. */
  readonly user: string | null;
  /** The value of `messages`, `input` or `prompt`, as the bytes of its JSON; null where there is none. */
  readonly prompt: Uint8Array | null;
}

/** Bytes of a prompt that are looked at: what is alike to there is alike enough. */
const LOOKED_AT = 128 * 1024;
/** Bytes at either end of a text that count; of what is between them, its length does. */
const EDGE = 64;
/** Messages back that a turn is recognised by: a client adds its answer, tool calls and their results, and the next ask. */
const KEPT = 32;

/**
 * The keys by which requests of one conversation find the node that has its beginning in memory, the most telling
 * first. What the client says itself counts alone; else each beginning of the prompt that ends with a message is a key,
 * so that the next turn, which only adds messages, has the key of this one among its own.
 */
export function affinityKeys({ consumer, session, promptCacheKey, user, prompt }: AffinitySigns): readonly string[] {
  const said = named('session', session) ?? named('cache', promptCacheKey) ?? named('user', user);
  if (said !== null) return [`${consumer} ${said}`];
  return prompt === null ? [] : beginnings(prompt).map((hash) => `${consumer} ${hash}`);
}

function named(kind: string, value: string | null): string | null {
  return value === null || value === '' ? null : `${kind} ${value.slice(0, 256)}`;
}

const [QUOTE, BACKSLASH, COMMA, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x22, 0x5c, 0x2c, 0x7b, 0x7d, 0x5b, 0x5d];

/** Hashes of the beginnings that end with an element of the list, the longest first; of a text, of the whole. */
function beginnings(prompt: Uint8Array): readonly string[] {
  const end = Math.min(prompt.length, LOOKED_AT);
  const found: string[] = [];
  // FNV-1a, twice with different seeds: a key is no secret and no proof, only unlikely to be met by chance.
  let low = 0x811c9dc5;
  let high = 0x9dc5811c;
  let depth = 0;
  const add = (byte: number): void => {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte, 0x01000197);
  };
  for (let at = 0; at < end; at++) {
    const byte = prompt[at]!;
    if (depth === 1 && (byte === COMMA || byte === CLOSE_LIST)) found.push(keyOf(low, high));
    add(byte);
    if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE || byte === CLOSE_LIST) depth -= 1;
    else if (byte === QUOTE) {
      const close = Math.min(closingQuote(prompt, at + 1), end);
      const length = close - at;
      for (let inside = at + 1; inside < Math.min(at + EDGE, close); inside++) add(prompt[inside]!);
      for (let inside = Math.max(at + EDGE, close - EDGE); inside < close; inside++) add(prompt[inside]!);
      add(length & 0xff);
      add(length >>> 8);
      at = close;
    }
  }
  if (found.length === 0 && end > 0) found.push(keyOf(low, high));
  return found.slice(-KEPT).toReversed();
}

/** Where a text ends that begins at `from`; the length of all where it does not. */
function closingQuote(prompt: Uint8Array, from: number): number {
  for (let at = prompt.indexOf(QUOTE, from); at !== -1; at = prompt.indexOf(QUOTE, at + 1)) {
    let first = at;
    while (first > from && prompt[first - 1] === BACKSLASH) first -= 1;
    if ((at - first) % 2 === 0) return at;
  }
  return prompt.length;
}

function keyOf(low: number, high: number): string {
  return `${(low >>> 0).toString(36)}.${(high >>> 0).toString(36)}`;
}

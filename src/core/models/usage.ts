/** Tokens of one request, as its upstream counted them. */
export interface TokenCount {
  readonly input: number;
  readonly output: number;
  /** Of the input, what the upstream had already. */
  readonly cached: number;
}

/** Reads what an answer says of its tokens while it passes. It copies a little of the bytes and changes none. */
export interface UsageTap {
  push(chunk: Buffer): void;
  /** Of what has passed; null where nothing of it tells. */
  tokens(): TokenCount | null;
  /** How many events have passed. */
  events(): number;
  /** Where the answer begins, up to 2 KiB. */
  head(): string;
}

/** The last bytes of an answer: there the counts are, save that Anthropic's streams begin with those of the input. */
const TAIL_BYTES = 16 * 1024;
const HEAD_BYTES = 2 * 1024;

/** What each event has, whatever its line ends are. */
const EVENT = Buffer.from('data:');

const NO_TAP: UsageTap = { push: () => undefined, tokens: () => null, events: () => 0, head: () => '' };

/** By the answer's Content-Type and Content-Encoding: what is compressed, and what is neither JSON nor events, tells nothing. */
export function usageTap(contentType: string | null, contentEncoding: string | null): UsageTap {
  if (contentEncoding !== null && contentEncoding !== 'identity') return NO_TAP;
  if (contentType === null || !/^(?:application\/(?:[\w.+-]*\+)?json|text\/event-stream)/i.test(contentType))
    return NO_TAP;
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  let headBytes = 0;
  // Made when the head is full, which most answers that are not streams never make it.
  let ring: Buffer | null = null;
  let total = 0;
  let events = 0;
  const isEvents = /^text\/event-stream/i.test(contentType);

  function push(chunk: Buffer): void {
    if (isEvents) {
      for (let at = chunk.indexOf(EVENT); at !== -1; at = chunk.indexOf(EVENT, at + EVENT.length)) events += 1;
    }
    let from = 0;
    if (headBytes < HEAD_BYTES) {
      from = chunk.copy(head, headBytes);
      headBytes += from;
    }
    if (from === chunk.length) return;
    ring ??= Buffer.allocUnsafe(TAIL_BYTES);
    from = Math.max(from, chunk.length - TAIL_BYTES);
    const at = total % TAIL_BYTES;
    const first = chunk.copy(ring, at, from);
    if (from + first < chunk.length) chunk.copy(ring, 0, from + first);
    total += chunk.length - from;
  }

  function tail(): string {
    if (ring === null) return '';
    const at = total % TAIL_BYTES;
    if (total <= TAIL_BYTES) return ring.toString('latin1', 0, total);
    return ring.toString('latin1', at) + ring.toString('latin1', 0, at);
  }

  return {
    push,
    events: () => events,
    head: () => head.toString('latin1', 0, headBytes),
    tokens() {
      const text = tail();
      const first = head.toString('latin1', 0, headBytes);
      // Where the answer is short, or was cut within the first bytes of the ring, both are one text.
      return joined(text.length < total ? [first, text] : [first + text]);
    },
  };
}

/** Later counts take the place of earlier ones, field by field. */
function joined(texts: readonly string[]): TokenCount | null {
  const counts = texts.map(countsIn);
  const usage = Object.assign({}, ...counts) as Counts;
  if (counts.every((found) => found === null)) return null;
  const cached = usage.cached ?? 0;
  return { input: (usage.input ?? 0) + (usage.besides ?? 0), output: usage.output ?? 0, cached };
}

interface Counts {
  readonly input?: number;
  readonly output?: number;
  readonly cached?: number;
  /** Of the input, what `input` leaves out: Anthropic counts what the cache holds or takes by itself. */
  readonly besides?: number;
}

/** Every object that is called `usage` and holds counts. In a text of a model its quotes would have backslashes. */
function countsIn(text: string): Counts | null {
  let found = null as Counts | null;
  for (let at = text.indexOf('"usage"'); at !== -1; at = text.indexOf('"usage"', at + 1)) {
    const counts = countsOf(objectAt(text, at + '"usage"'.length));
    if (counts !== null) found = { ...found, ...counts };
  }
  return found;
}

/** Longest object that is looked at. */
const MAX_OBJECT = 8192;

function objectAt(text: string, from: number): unknown {
  const start = /\s*:\s*\{/y;
  start.lastIndex = from;
  if (!start.test(text)) return null;
  const open = start.lastIndex - 1;
  let depth = 0;
  for (let at = open; at < Math.min(text.length, open + MAX_OBJECT); at++) {
    if (text[at] === '{') depth += 1;
    else if (text[at] === '}' && --depth === 0) return parsed(text.slice(open, at + 1));
  }
  return null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function countsOf(usage: unknown): Counts | null {
  const input = numberIn(usage, 'prompt_tokens') ?? numberIn(usage, 'input_tokens');
  const output = numberIn(usage, 'completion_tokens') ?? numberIn(usage, 'output_tokens');
  if (input === undefined && output === undefined) return null;
  const read = numberIn(usage, 'cache_read_input_tokens');
  const written = numberIn(usage, 'cache_creation_input_tokens');
  const details = fieldOf(usage, 'prompt_tokens_details') ?? fieldOf(usage, 'input_tokens_details');
  const cached = read ?? numberIn(details, 'cached_tokens');
  return {
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(cached === undefined ? {} : { cached }),
    ...(read === undefined && written === undefined ? {} : { besides: (read ?? 0) + (written ?? 0) }),
  };
}

function numberIn(value: unknown, name: string): number | undefined {
  const found = fieldOf(value, name);
  return typeof found === 'number' && Number.isSafeInteger(found) && found >= 0 ? found : undefined;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

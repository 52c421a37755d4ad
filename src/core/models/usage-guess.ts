import type { TokenCount } from '#src/core/models/usage.ts';

/** What passed of a request whose upstream did not tell what it took. */
export interface Traffic {
  readonly endpoint: string;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** Of a stream of events; 0 for every other answer. */
  readonly events: number;
  /** What the model takes at most; undefined where that is not known. */
  readonly contextWindow: number | undefined;
}

const BYTES_OF_TOKEN = 4;
/** Names and ids around the text of one event. */
const BYTES_AROUND = 300;
/** Where the context of a model is not known. */
const USUAL_CONTEXT = 200_000;
/** More than any model takes or gives at once beside what was sent: pictures by their address, answers that were kept. */
const MOST_TOKENS = 1 << 20;

/** Endpoints whose request is text, and of them those whose answer is. */
const TEXT_IN = /^\/v1\/(?:(?:chat\/)?completions|responses|messages|embeddings|rerank|moderations)$/;
const TEXT_OUT = /^\/v1\/(?:(?:chat\/)?completions|responses|messages)$/;

/** Tokens of a prompt by its length; 0 where the body is no text. */
export function guessInput(endpoint: string, bytes: number, contextWindow: number = USUAL_CONTEXT): number {
  return TEXT_IN.test(endpoint) ? Math.min(Math.ceil(bytes / BYTES_OF_TOKEN), contextWindow) : 0;
}

/** Tokens of prompt and answer by what passed; null where that says nothing. */
export function guessTokens({ endpoint, requestBytes, answerBytes, events, contextWindow }: Traffic): number | null {
  if (!TEXT_IN.test(endpoint)) return null;
  const input = guessInput(endpoint, requestBytes, contextWindow);
  if (!TEXT_OUT.test(endpoint)) return input;
  // An event is a token as a rule; some servers put many into one.
  return input + Math.max(events, Math.ceil((answerBytes - events * BYTES_AROUND) / BYTES_OF_TOKEN), 0);
}

/** As far as an upstream can be right: one that says more would use up a budget with one answer. */
export function believable({ input, output, cached }: TokenCount, requestBytes: number): TokenCount {
  const most = Math.min(input, requestBytes + MOST_TOKENS);
  return { input: most, output: Math.min(output, MOST_TOKENS), cached: Math.min(cached, most) };
}

import { formBoundary, formFields, isForm } from '#src/core/models/form.ts';
import type { Found, Span } from '#src/core/models/json-scan.ts';
import { scanJson } from '#src/core/models/json-scan.ts';

/** What the body of a request says that matters on its way; the bytes themselves stay as they are. */
export interface RequestFacts {
  /** Null where it names none, or what it is can't be told. */
  readonly model: string | null;
  /** Where the model stands, each time. */
  readonly models: readonly Span[];
  /** It names two models, or one in a way that not all servers read alike: which one is meant depends on the reader. */
  readonly isAmbiguous: boolean;
  readonly form: 'json' | 'multipart' | 'other';
  readonly stream: boolean;
  readonly user: string | null;
  readonly promptCacheKey: string | null;
  /** The value of `messages`, `input` or `prompt`. */
  readonly prompt: Span | null;
}

/** Reads a body as its bytes come. */
export interface RequestScan {
  push(chunk: Buffer): void;
  /** Of what has come so far. A form is looked at as a whole or not at all: `whole` is all of it, null where it is not at hand. */
  facts(whole: Buffer | null): RequestFacts;
}

export const NO_FACTS: RequestFacts = {
  model: null,
  models: [],
  isAmbiguous: false,
  form: 'other',
  stream: false,
  user: null,
  promptCacheKey: null,
  prompt: null,
};

const PROMPTS: ReadonlySet<string> = new Set(['messages', 'input', 'prompt']);
const WANTED: ReadonlySet<string> = new Set(['stream', 'user', 'prompt_cache_key', ...PROMPTS]);

/**
 * By its Content-Type: parts of a form are parts, and all else is taken for JSON, since many clients call it something
 * else. Of a body with a Content-Encoding nothing can be told.
 */
export function scanRequest(contentType: string | undefined, contentEncoding: string | undefined): RequestScan {
  if (contentEncoding !== undefined && contentEncoding !== 'identity') {
    return { push: () => undefined, facts: () => NO_FACTS };
  }
  if (contentType === undefined || !isForm(contentType)) return scanJsonRequest();
  const boundary = formBoundary(contentType);
  return { push: () => undefined, facts: (whole) => (whole === null ? NO_FACTS : formFacts(whole, boundary)) };
}

function scanJsonRequest(): RequestScan {
  let [model, isAmbiguous, stream]: [string | null, boolean, boolean] = [null, false, false];
  let [user, promptCacheKey]: [string | null, string | null] = [null, null];
  let prompt: Span | null = null;
  const models: Span[] = [];
  const scan = scanJson(isWanted, found);

  function found({ key, span, value, isText }: Found): void {
    const text = isText && typeof value === 'string' ? value : null;
    if (key === 'model') {
      isAmbiguous ||= models.length > 0 && text !== model;
      model = text;
      models.push(span);
    } else if (key === 'stream') stream = value === true;
    else if (key === 'user') user = text;
    else if (key === 'prompt_cache_key') promptCacheKey = text;
    else if (PROMPTS.has(key)) prompt ??= span;
    else isAmbiguous = true;
  }

  return {
    push: (chunk) => scan.push(chunk),
    facts: () =>
      scan.state() === 'broken'
        ? NO_FACTS
        : { model, models, isAmbiguous, form: 'json', stream, user, promptCacheKey, prompt },
  };
}

/** Servers in Go, Ollama among them, take `Model` for `model`. */
function isWanted(key: string): boolean {
  return WANTED.has(key) || (key.length === 5 && key.toLowerCase() === 'model');
}

/** Longest value of a field that is looked at. */
const MAX_FIELD_BYTES = 4096;

function formFacts(body: Buffer, boundary: string | null): RequestFacts {
  const facts = { ...NO_FACTS, form: 'multipart' as const, models: [] as Span[] };
  const fields = boundary === null ? null : formFields(body, boundary);
  if (fields === null) return { ...facts, isAmbiguous: true };
  for (const { name, span } of fields) {
    const value = body.toString('utf8', span.start, Math.min(span.end, span.start + MAX_FIELD_BYTES));
    if (name === 'model') {
      facts.isAmbiguous ||= facts.models.length > 0 && value !== facts.model;
      facts.model = value;
      facts.models.push(span);
    } else if (name.toLowerCase() === 'model') facts.isAmbiguous = true;
    else if (name === 'stream') facts.stream = value === 'true';
    else if (name === 'user') facts.user = value;
  }
  return facts;
}

/**
 * The bytes with another model's name in the place of what stood there, as parts that are to be sent one after the
 * other. All else is what it was: no number is rounded and no key moved.
 */
export function spliceModel(body: Buffer, { models, form }: RequestFacts, name: string): readonly Buffer[] {
  const value = Buffer.from(form === 'json' ? JSON.stringify(name) : name, 'utf8');
  const parts: Buffer[] = [];
  let from = 0;
  for (const { start, end } of models) {
    parts.push(body.subarray(from, start), value);
    from = end;
  }
  parts.push(body.subarray(from));
  return parts;
}

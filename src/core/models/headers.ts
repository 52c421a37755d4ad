import { FederationError } from '#src/core/errors.ts';
/** Names and values by turns, as they came. */
export type RawHeaders = readonly string[];

/** Of one hop alone (RFC 9110, 7.6.1), or set anew on each. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** What a client proves itself by, to us: of no upstream's concern. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'cookie']);

/** Said anew on each hop: the length may change with the model's name. */
const OURS_TO_SAY: ReadonlySet<string> = new Set(['host', 'content-length', 'expect']);

/** What an answer may tell a browser or a program to do beside reading it: nothing that a model has to say. */
const ORDERS: ReadonlySet<string> = new Set([
  'alt-svc',
  'clear-site-data',
  'refresh',
  'set-cookie',
  'set-cookie2',
  'strict-transport-security',
  'www-authenticate',
]);

const OURS = 'x-federation-';

/** More than any client sends, and few enough for every server on the way: Node's HTTP/2 refuses over 128 with its own. */
const MAX_REQUEST_HEADERS = 100;

/** Throws USAGE for more headers of a client than can be carried. */
export function checkHeaderCount(raw: RawHeaders): void {
  if (raw.length <= 2 * MAX_REQUEST_HEADERS) return;
  throw new FederationError('USAGE', `a request may have ${MAX_REQUEST_HEADERS} headers`);
}

/** What goes on of a request's headers: no hop's own, no credential and none of ours, in their order. */
export function requestHeaders(raw: RawHeaders): string[] {
  const listed = connectionNames(raw);
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || CREDENTIALS.has(lower) || OURS_TO_SAY.has(lower)) continue;
    if (lower.startsWith(OURS) || lower.startsWith(':') || listed?.has(lower) === true) continue;
    kept.push(name, raw[at + 1]!);
  }
  return kept;
}

/** What goes on of an answer's headers; `keepOurs` between two of ours. */
export function responseHeaders(raw: RawHeaders, keepOurs: boolean): string[] {
  const listed = connectionNames(raw);
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || lower.startsWith(':') || listed?.has(lower) === true) continue;
    if (ORDERS.has(lower)) continue;
    if (!keepOurs && lower.startsWith(OURS)) continue;
    kept.push(name, raw[at + 1]!);
  }
  return kept;
}

/** Whether an answer sends the client elsewhere, which would follow with its key and its prompt: no answer of a model. */
export function leadsElsewhere(status: number): boolean {
  return status >= 300 && status < 400 && status !== 304;
}

/** The value of a header, the first where there are several; null where there is none. */
export function headerOf(raw: RawHeaders, wanted: string): string | null {
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!;
    if (name.length === wanted.length && name.toLowerCase() === wanted) return raw[at + 1]!;
  }
  return null;
}

/** Without the headers that are set anew, and with those. */
export function withHeaders(raw: RawHeaders, set: Readonly<Record<string, string>>): string[] {
  const names = new Set(Object.keys(set).map((name) => name.toLowerCase()));
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (!names.has(raw[at]!.toLowerCase())) kept.push(raw[at]!, raw[at + 1]!);
  }
  for (const [name, value] of Object.entries(set)) kept.push(name, value);
  return kept;
}

function connectionNames(raw: RawHeaders): ReadonlySet<string> | null {
  let names: Set<string> | null = null;
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (raw[at]!.length !== 10 || raw[at]!.toLowerCase() !== 'connection') continue;
    for (const listed of raw[at + 1]!.split(',')) {
      const name = listed.trim().toLowerCase();
      if (name !== '' && name !== 'keep-alive' && name !== 'close') (names ??= new Set()).add(name);
    }
  }
  return names;
}

/** Milliseconds that a Retry-After header asks for; null where there is none that can be read. */
export function retryAfterMs(raw: RawHeaders, now: number): number | null {
  const milliseconds = Number(headerOf(raw, 'retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(milliseconds) && milliseconds >= 0) return milliseconds;
  const text = headerOf(raw, 'retry-after')?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = text === '' ? Number.NaN : Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

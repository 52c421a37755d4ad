import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import type { RawHeaders } from '#src/core/models/headers.ts';

/** Of these HTTP/2 takes one alone in Node; of several the first counts, as for Node's server. */
const SINGLE: ReadonlySet<string> = new Set([
  ...[
    'age',
    'content-encoding',
    'content-language',
    'content-length',
    'content-location',
    'content-md5',
    'content-range',
    'content-type',
  ],
  ...['date', 'dnt', 'etag', 'expires', 'from', 'if-match', 'if-modified-since', 'if-none-match', 'if-range'],
  ...['if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'range', 'referer', 'retry-after', 'tk'],
  ...['upgrade-insecure-requests', 'user-agent', 'x-content-type-options', 'access-control-allow-credentials'],
  ...[
    'access-control-max-age',
    'access-control-request-method',
    'alt-svc',
    'authorization',
    'proxy-authorization',
    'host',
  ],
]);

/** Headers for a stream of the link, behind `own`: the names in lower case, those of one name behind one another. */
export function toHttp2(raw: RawHeaders, own: OutgoingHttpHeaders): OutgoingHttpHeaders {
  // Without a prototype, so that a header such as `constructor` is a header and nothing more.
  const into = Object.assign(Object.create(null) as OutgoingHttpHeaders, own);
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase();
    const value = raw[at + 1]!;
    const known = into[name];
    if (known === undefined) into[name] = value;
    else if (Array.isArray(known)) known.push(value);
    else if (!SINGLE.has(name)) into[name] = [String(known), value];
  }
  return into;
}

/** Names and values by turns, of a stream of the link; those that begin with a colon are left out. */
export function fromHttp2(headers: IncomingHttpHeaders): string[] {
  const raw: string[] = [];
  for (const name in headers) {
    const value = headers[name];
    if (name.startsWith(':') || value === undefined) continue;
    if (typeof value === 'string') raw.push(name, value);
    else for (const one of value) raw.push(name, one);
  }
  return raw;
}

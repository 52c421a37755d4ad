import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Send, SendFailure } from '#src/core/models/sending.ts';
import { FederationError } from '#src/core/errors.ts';
import { upstreamPath } from '#src/core/models/endpoint.ts';
import { FirstByteLate } from '#src/core/models/error.ts';
import { headerOf, requestHeaders, responseHeaders, withHeaders } from '#src/core/models/headers.ts';
import { mayLeadBack } from '#src/core/models/way.ts';
import type { ModelBody } from '#src/link/models/body.ts';
import { carryAnswer } from '#src/link/models/carriage.ts';
import { MODEL_HEADERS } from '#src/protocol/models.ts';

/** Where a request goes, with what it proves itself by there. */
export interface ProviderWay {
  readonly provider: string;
  /** Stands for our `/v1`. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** What the model is called there. */
  readonly model: string;
}

/** The worker daemon, which asks, knows how long an answer may take, and goes when it has waited enough. */
const PATIENT = { connectMs: 10_000, firstByteMs: 2 ** 31 - 1, idleMs: 2 ** 31 - 1, totalMs: null };

/**
 * Sends a request to a provider, and lets its answer pass, byte for byte. `url` is its path below `/v1`, with its query.
 * Resolves when it is over; rejects with UPSTREAM_FAILED where nothing of an answer was sent.
 */
export function carry(
  request: IncomingMessage,
  response: ServerResponse,
  {
    send,
    url,
    body,
    way,
  }: { readonly send: Send; readonly url: string; readonly body: ModelBody; readonly way: ProviderWay },
): Promise<void> {
  const { origin, pathname, hostname } = new URL(way.baseUrl);
  // What the gateway says of its own pages is none of a provider's answer.
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  return carryAnswer(response, {
    ...{ send, body, model: way.model },
    sending: (sent) => ({
      origin,
      method: request.method ?? 'POST',
      path: upstreamPath(pathname.replace(/\/+$/, ''), url),
      headers: withHeaders(requestHeaders(request.rawHeaders), { ...way.headers, ...told(request, hostname) }),
      ...sent,
      timeouts: PATIENT,
    }),
    headers: (raw) => responseHeaders(raw, false),
    failed: (failure) => failed(way.provider, failure),
  });
}

/** The way that it came by, where the provider could be a federation itself: it would not see a circle without it. */
function told({ rawHeaders }: IncomingMessage, hostname: string): Record<string, string> {
  if (!mayLeadBack(hostname)) return {};
  return Object.fromEntries(
    [MODEL_HEADERS.hops, MODEL_HEADERS.via].flatMap((name) => {
      const value = headerOf(rawHeaders, name);
      return value === null ? [] : [[name, value]];
    }),
  );
}

function failed(provider: string, { kind, problem }: SendFailure): FederationError {
  return kind === 'first-byte'
    ? new FirstByteLate(`the provider ${provider} did not answer in time`)
    : new FederationError('UPSTREAM_FAILED', `the provider ${provider} does not answer (${problem})`);
}

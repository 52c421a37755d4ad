import type { ErrorCode } from '#src/core/errors.ts';
import { errorBody, FederationError } from '#src/core/errors.ts';
import type { ModelApi } from '#src/core/models/catalog.ts';

/** An answer of the proxy itself. */
export interface Refusal {
  readonly status: number;
  readonly headers: string[];
  readonly body: Buffer;
}

/** Statuses of the codes that the proxy refuses with. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  USAGE: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  MODEL_NOT_FOUND: 404,
  NODE_NOT_FOUND: 404,
  NODE_AMBIGUOUS: 404,
  PAYLOAD_TOO_LARGE: 413,
  BUDGET_EXCEEDED: 429,
  MODELS_BUSY: 429,
  UPSTREAM_FAILED: 502,
  LINK_LOST: 502,
  MODEL_UNAVAILABLE: 503,
  HUB_UNREACHABLE: 503,
  HUB_STOPPING: 503,
  LOCKED_DOWN: 503,
  LOOP_DETECTED: 508,
};

/** As OpenAI and as Anthropic call an error of a status; above the last one it is the last. */
const TYPES: readonly (readonly [status: number, openai: string, anthropic: string])[] = [
  [400, 'invalid_request_error', 'invalid_request_error'],
  [401, 'authentication_error', 'authentication_error'],
  [403, 'permission_error', 'permission_error'],
  [404, 'not_found_error', 'not_found_error'],
  [413, 'invalid_request_error', 'request_too_large'],
  [429, 'rate_limit_error', 'rate_limit_error'],
  [500, 'server_error', 'api_error'],
  [503, 'server_error', 'overloaded_error'],
  [504, 'timeout_error', 'timeout_error'],
  [505, 'server_error', 'api_error'],
];

/** What the same client is to try again is known to it by the status alone; of these nothing else will come. */
const IN_VAIN: ReadonlySet<ErrorCode> = new Set(['BUDGET_EXCEEDED', 'LOOP_DETECTED', 'LOCKED_DOWN']);

/**
 * What the proxy refuses with, as a client of that API expects an error. Its code begins with `federation_`, so that
 * nobody looks for the fault at the upstream. `given`: its status where it is not the usual one of the code.
 */
export function refusalOf(api: ModelApi, error: unknown): Refusal {
  const { code, message, hint } = errorBody(error);
  const status = error instanceof FirstByteLate ? 504 : (STATUS[code] ?? 500);
  const body = Buffer.from(
    JSON.stringify(bodyOf(api, status, code, hint === undefined ? message : `${message} (${hint})`)),
  );
  const headers = ['content-type', 'application/json', 'content-length', String(body.length)];
  const retryAfterMs = error instanceof FederationError ? error.retryAfterMs : undefined;
  if (retryAfterMs !== undefined) {
    headers.push('retry-after', String(Math.max(1, Math.ceil(retryAfterMs / 1000))));
    headers.push('retry-after-ms', String(Math.ceil(retryAfterMs)));
  }
  if (IN_VAIN.has(code)) headers.push('x-should-retry', 'false');
  return { status, headers, body };
}

function bodyOf(api: ModelApi, status: number, code: ErrorCode, message: string): object {
  const [, openai, anthropic] = TYPES.findLast(([from]) => status >= from) ?? TYPES[0]!;
  const named = `federation_${code.toLowerCase()}`;
  if (api === 'anthropic') return { type: 'error', error: { type: anthropic, message, code: named } };
  return { error: { message, type: openai, param: null, code: named } };
}

/** The upstream took the request and let its time pass: 504, and not 502. */
export class FirstByteLate extends FederationError {
  constructor(message: string) {
    super('UPSTREAM_FAILED', message);
  }
}

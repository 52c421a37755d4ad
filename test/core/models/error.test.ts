import { expect, test } from 'vitest';
import { FederationError } from '#src/core/errors.ts';
import type { Refusal } from '#src/core/models/error.ts';
import { FirstByteLate, refusalOf } from '#src/core/models/error.ts';

const missing = new FederationError('MODEL_NOT_FOUND', 'there is no model "x"', { hint: 'GET /v1/models' });

test('says a refusal as OpenAI does, with a code that says whose it is', () => {
  const { status, body, headers } = refusalOf('openai', missing);
  expect(status).toBe(404);
  expect(JSON.parse(body.toString())).toEqual({
    error: {
      message: 'there is no model "x" (GET /v1/models)',
      type: 'not_found_error',
      param: null,
      code: 'federation_model_not_found',
    },
  });
  expect(headers).toEqual(['content-type', 'application/json', 'content-length', String(body.length)]);
});

test('says it as Anthropic does', () => {
  expect(JSON.parse(refusalOf('anthropic', missing).body.toString())).toEqual({
    type: 'error',
    error: {
      type: 'not_found_error',
      message: 'there is no model "x" (GET /v1/models)',
      code: 'federation_model_not_found',
    },
  });
});

test.each([
  [new FederationError('USAGE', 'x'), 400, 'invalid_request_error', 'invalid_request_error'],
  [new FederationError('UNAUTHENTICATED', 'x'), 401, 'authentication_error', 'authentication_error'],
  [new FederationError('FORBIDDEN', 'x'), 403, 'permission_error', 'permission_error'],
  [new FederationError('PAYLOAD_TOO_LARGE', 'x'), 413, 'invalid_request_error', 'request_too_large'],
  [new FederationError('MODELS_BUSY', 'x'), 429, 'rate_limit_error', 'rate_limit_error'],
  [new Error('secret'), 500, 'server_error', 'api_error'],
  [new FederationError('UPSTREAM_FAILED', 'x'), 502, 'server_error', 'api_error'],
  [new FederationError('MODEL_UNAVAILABLE', 'x'), 503, 'server_error', 'overloaded_error'],
  [new FirstByteLate('x'), 504, 'timeout_error', 'timeout_error'],
  [new FederationError('LOOP_DETECTED', 'x'), 508, 'server_error', 'api_error'],
])('%s has its status and types', (error, status, openai, anthropic) => {
  const said = refusalOf('openai', error);
  expect(said.status).toBe(status);
  expect(typeOf(said)).toBe(openai);
  expect(typeOf(refusalOf('anthropic', error))).toBe(anthropic);
  expect(said.body.toString()).not.toContain('secret');
});

test('says when to try again, and where that is in vain', () => {
  const busy = new FederationError('MODELS_BUSY', 'x', { retryAfterMs: 1500 });
  expect(refusalOf('openai', busy).headers.slice(4)).toEqual(['retry-after', '2', 'retry-after-ms', '1500']);
  expect(refusalOf('openai', new FederationError('BUDGET_EXCEEDED', 'x')).headers.slice(4)).toEqual([
    ...['x-should-retry', 'false'],
  ]);
});

function typeOf({ body }: Refusal): string {
  return (JSON.parse(body.toString()) as { error: { type: string } }).error.type;
}

import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { z } from 'zod';
import type { Log } from '#src/adapters/log.ts';
import type { ErrorCode } from '#src/core/errors.ts';
import { errorBody, FederationError } from '#src/core/errors.ts';
import { errorSchema } from '#src/protocol/hub-api/error.ts';

const STATUS: Readonly<Partial<Record<ErrorCode, ContentfulStatusCode>>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  NODE_NOT_FOUND: 404,
  REQUEST_NOT_FOUND: 404,
  NOTHING_MATCHED: 404,
  JOB_NOT_FOUND: 404,
  MODEL_NOT_FOUND: 404,
  AGENT_NOT_FOUND: 404,
  HANDOFF_NOT_FOUND: 404,
  PATH_NOT_FOUND: 404,
  PATH_DENIED: 403,
  TOOL_DENIED: 403,
  NODE_AMBIGUOUS: 409,
  APPROVAL_NEEDED: 409,
  APPROVAL_OVER: 409,
  FILE_CHANGED: 409,
  HANDOFF_CONFLICT: 409,
  NAME_TAKEN: 409,
  HELD: 409,
  EPOCH_STALE: 409,
  PAYLOAD_TOO_LARGE: 413,
  FILE_TOO_LARGE: 413,
  PENDING_FULL: 429,
  MODELS_BUSY: 429,
  QUEUE_FULL: 429,
  BUDGET_EXCEEDED: 429,
  TOOL_FAILED: 502,
  UPSTREAM_FAILED: 502,
  MODEL_UNAVAILABLE: 503,
  LOOP_DETECTED: 508,
  LINK_LOST: 502,
  MACHINE_UNREACHABLE: 503,
  HUB_STOPPING: 503,
  LOCKED_DOWN: 503,
  GATEWAY_UNREACHABLE: 503,
  STORE_FAILED: 503,
  STORE_DAMAGED: 503,
  INTERNAL: 500,
};

/** Every error becomes `{code, message, hint?}`; of a bug the log gets the stack and the client nothing. */
export function answerError(log: Log): (error: Error, context: Context) => Response {
  return (thrown, context) => {
    const error = thrown instanceof HTTPException && thrown.status < 500 ? notAsDescribed(thrown) : thrown;
    if (!(error instanceof FederationError))
      log.error('a request failed', { path: context.req.path, stack: error.stack });
    const body = errorBody(error);
    return context.json(body, STATUS[body.code] ?? 400);
  };
}

/** What the framework refuses before our schemas see it: a body that is no JSON, by its type or by its text. */
function notAsDescribed(cause: HTTPException): FederationError {
  const message = cause.status === 415 ? 'the body must be application/json' : 'the body is not JSON';
  return new FederationError('USAGE', message, { hint: 'see /api/v1/openapi.json', cause });
}

/** What a request that does not fit its schema gets, with the first problem and its path. */
export function refuseInvalid(result: { success: boolean; error?: z.ZodError }): void {
  if (result.success || result.error === undefined) return;
  const [issue] = result.error.issues;
  const path = issue?.path.join('.') ?? '';
  throw new FederationError('USAGE', `${path === '' ? 'request' : path}: ${issue?.message ?? 'does not fit'}`, {
    hint: 'see /api/v1/openapi.json',
  });
}

export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
});

export const failure = { ...json(errorSchema, 'What went wrong, and what to do') };

export const jsonBody = <T extends z.ZodType>(schema: T) => ({
  required: true,
  content: { 'application/json': { schema } },
});

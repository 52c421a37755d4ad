import type { MiddlewareHandler } from 'hono';
import { FederationError } from '#src/core/errors.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';

/**
 * Refuses a body that is too long before any of it is read. It must say its length: Node's server then reads no more
 * than that.
 */
export function limitBody(maxBytes: number): MiddlewareHandler<ApiEnvironment> {
  return async (context, next) => {
    if (context.req.header('transfer-encoding') !== undefined) {
      throw new FederationError('USAGE', 'the request does not say how long it is', {
        hint: 'send it with its Content-Length',
      });
    }
    if (Number(context.req.header('content-length') ?? 0) > maxBytes) {
      throw new FederationError('PAYLOAD_TOO_LARGE', `the request is longer than ${maxBytes >> 20} MiB`);
    }
    await next();
  };
}

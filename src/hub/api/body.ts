import type { IncomingMessage } from 'node:http';
import type { MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import { isModelUrl } from '#src/core/models/endpoint.ts';
import { refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';

/** Of bodies that may take hours to come: the input of a process, and a file. */
export const STREAMED = /^\/api\/v1\/(?:jobs\/[^/?]+\/stdin|nodes\/[^/?]+\/file)(?:\?|$)/;

/** Time for a body that does not stream. */
const BODY_MS = 60_000;

/** Lets go of a client that takes its time with a body. */
export function hurryBody(request: IncomingMessage, milliseconds: number = BODY_MS): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  const hasBody = encoding !== undefined || length !== '0';
  // What goes to a model may be large and come by a slow line; it is watched where it is read.
  if (!hasBody || STREAMED.test(request.url ?? '') || isModelUrl(request.url ?? '')) return;
  const late = setTimeout(() => request.socket.destroy(), milliseconds).unref();
  const over = (): void => clearTimeout(late);
  request.once('end', over).once('close', over);
}

/**
 * Refuses a body that is too long before any of it is read. It must say its length: Node's server then reads no more
 * than that. Those that stream are as long as they are.
 */
export function limitBody(maxBytes: number): MiddlewareHandler<ApiEnvironment> {
  return async (context, next) => {
    if (STREAMED.test(context.req.path)) return next();
    if (context.req.header('transfer-encoding') !== undefined) {
      throw new FederationError('USAGE', 'the request does not say how long it is', {
        hint: 'send it with its Content-Length',
      });
    }
    if (Number(context.req.header('content-length') ?? 0) > maxBytes) {
      throw new FederationError('PAYLOAD_TOO_LARGE', `the request is longer than ${maxBytes >> 20} MiB`);
    }
    return next();
  };
}

/** The JSON body of a request, straight from its socket. Throws USAGE for what is no JSON or does not fit. */
export async function readJson<T extends z.ZodType>(request: IncomingMessage, schema: T): Promise<z.output<T>> {
  if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) {
    throw new FederationError('USAGE', 'the request is no JSON', { hint: 'send it as application/json' });
  }
  const parsed = schema.safeParse(parseJson(await textOf(request)));
  refuseInvalid(parsed);
  return parsed.data as z.output<T>;
}

function textOf(request: IncomingMessage): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  request.on('error', reject);
  return promise;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FederationError('USAGE', 'the request is no JSON', { cause });
  }
}

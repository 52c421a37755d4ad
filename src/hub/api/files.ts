import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import { absolutePath } from '#src/core/file-policy.ts';
import { failure, json, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askerOf } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { FileAudience, NodeFiles } from '#src/hub/files/files.ts';
import {
  encodeHeader,
  FILE_HEADER,
  fileReadQuerySchema,
  fileWriteQuerySchema,
  HASH_TRAILER,
  placedFileSchema,
} from '#src/protocol/files.ts';

const bytes = { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } };

const readFile = createRoute({
  method: 'get',
  path: '/nodes/{word}/file',
  summary: 'A file of a node, or a part of it',
  description:
    `The header ${FILE_HEADER} says what comes, as base64url of JSON: path, size, mtime, mode, offset, length, node, id. ` +
    `The trailer ${HASH_TRAILER} is the SHA-256 of the bytes: without it the answer was cut.`,
  request: { params: word, query: fileReadQuerySchema },
  responses: { 200: { description: 'The bytes', content: bytes }, default: failure },
});

const writeFile = createRoute({
  method: 'put',
  path: '/nodes/{word}/file',
  summary: 'Writes a file of a node, whole or not at all',
  description: 'The body is the content, of exactly the size and the SHA-256 that the query says.',
  request: { params: word, query: fileWriteQuerySchema },
  responses: { 200: json(placedFileSchema, 'What is there now'), default: failure },
});

/** Reading and writing files of nodes. */
export function fileRoutes(files: NodeFiles): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(readFile, async (context) => {
    const { outgoing } = context.env;
    const asker = askerOf(context.get('principal'));
    const { word: meant } = context.req.valid('param');
    try {
      await files.read(meant, withPath(context.req.valid('query')), asker, audience(outgoing));
    } catch (error) {
      if (!outgoing.headersSent) throw error;
      // Without its trailer the answer is seen to be cut.
      outgoing.destroy();
    }
    return RESPONSE_ALREADY_SENT;
  });
  // Its body goes on as it comes: the framework must not read it.
  app.openAPIRegistry.registerPath({
    ...writeFile,
    request: { ...writeFile.request, body: { required: true, content: bytes } },
  });
  app.put('/nodes/:word/file', async (context) => {
    const { incoming } = context.env;
    const wish = withPath(parsed(fileWriteQuerySchema, context.req.query()));
    const { word: meant } = parsed(word, context.req.param());
    const announced = context.req.header('content-length');
    if (announced !== undefined && Number(announced) !== wish.size) {
      throw new FederationError('USAGE', 'size: is not the Content-Length', { hint: 'see /api/v1/openapi.json' });
    }
    const asker = askerOf(context.get('principal'));
    return context.json(await files.write(meant, wish, incoming, asker), 200);
  });
  return app;
}

/** What is no file's path on any node is not asked of one. Throws USAGE. */
function withPath<T extends { readonly path: string }>(wish: T): T {
  absolutePath(wish.path, '/');
  return wish;
}

function parsed<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value);
  refuseInvalid(result);
  return result.data as z.output<T>;
}

function audience(response: ServerResponse): FileAudience {
  return {
    async take(header, content, sha256) {
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'cache-control': 'no-store',
        [FILE_HEADER]: encodeHeader(header),
        trailer: HASH_TRAILER,
      });
      // Also before the first byte: who waits hears that it comes.
      response.flushHeaders();
      await pipeline(proven(), response);

      async function* proven(): AsyncGenerator<Buffer> {
        yield* content;
        response.addTrailers({ [HASH_TRAILER]: sha256() });
      }
    },
  };
}

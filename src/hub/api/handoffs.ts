import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { keyedAskerOf } from '#src/hub/api/principal.ts';
import type { Followed, HandoffDesk } from '#src/hub/handoffs/desk.ts';
import { artefactNameSchema } from '#src/protocol/handoff-fields.ts';
import {
  handoffCreateSchema,
  handoffIdSchema,
  handoffListedSchema,
  handoffViewSchema,
  SHA256_HEADER,
} from '#src/protocol/handoffs.ts';

export const handoffId = z.object({ id: handoffIdSchema });
export const eventQuery = z.object({
  after: z.coerce.number().int().min(0).optional().describe('The last seq that is known; Last-Event-ID counts, too'),
});

const eventStream = { content: { 'text/event-stream': { schema: z.string() } } };
const bytes = { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } };

const create = createRoute({
  method: 'post',
  path: '/handoffs',
  summary: 'Gives a piece of work to an agent of another machine; it is begun once at most for each key',
  description:
    'A key stands for target, task, context, files and `rerunnable`: the same again is the same handoff (200), and ' +
    'anything else of that key is refused. The keys of one asker are no other’s.',
  request: { body: jsonBody(handoffCreateSchema) },
  responses: {
    200: json(handoffViewSchema, 'The key is known: this came of it'),
    201: json(handoffViewSchema, 'It is durable that it is to be done'),
    default: failure,
  },
});

const list = createRoute({
  method: 'get',
  path: '/handoffs',
  summary: 'Handoffs that are kept, the latest first, without their answers',
  request: { query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(20) }) },
  responses: { 200: json(z.array(handoffListedSchema), 'The handoffs'), default: failure },
});

const show = createRoute({
  method: 'get',
  path: '/handoffs/{id}',
  summary: 'How a handoff stands',
  request: { params: handoffId },
  responses: { 200: json(handoffViewSchema, 'The handoff'), default: failure },
});

const follow = createRoute({
  method: 'get',
  path: '/handoffs/{id}/events',
  summary: 'What happens in it, as server-sent events, to its end',
  description:
    '`id:` is the seq, without a gap, and `data:` the event. `event: standing` has no id: its data is the handoff as it ' +
    'stands. A stream that breaks off is followed on with the last id.',
  request: { params: handoffId, query: eventQuery },
  responses: { 200: { description: 'The events', ...eventStream }, default: failure },
});

const cancel = createRoute({
  method: 'delete',
  path: '/handoffs/{id}',
  summary: 'Asks for the end of a handoff; the same however often',
  request: { params: handoffId },
  responses: { 202: json(handoffViewSchema, 'It is durable that its end was asked for'), default: failure },
});

const fetchArtefact = createRoute({
  method: 'get',
  path: '/handoffs/{id}/artefacts/{name}',
  summary: 'A file of its answer',
  description: `The header ${SHA256_HEADER} says what the bytes have to be: an answer that is cut is not they.`,
  request: { params: handoffId.extend({ name: artefactNameSchema }) },
  responses: { 200: { description: 'The bytes', content: bytes }, default: failure },
});

/** So that a client sees a hub that is gone, and the hub a client that is. */
const HEARTBEAT_MS = 15_000;

/** Work that is given to agents. */
export function handoffRoutes(desk: HandoffDesk): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(create, async (context) => {
    const { view, isNew } = await desk.create(context.req.valid('json'), keyedAskerOf(context.get('principal')));
    return isNew ? context.json(view, 201) : context.json(view, 200);
  });
  app.openapi(list, (context) =>
    context.json(desk.list(context.req.valid('query').limit, keyedAskerOf(context.get('principal'))), 200),
  );
  app.openapi(show, async (context) =>
    context.json(await desk.get(context.req.valid('param').id, keyedAskerOf(context.get('principal'))), 200),
  );
  app.openapi(follow, async (context) => {
    const asker = keyedAskerOf(context.get('principal'));
    const after = afterOf(context, context.req.valid('query').after);
    const gone = goneWith(context.env.outgoing);
    const followed = await desk.follow(context.req.valid('param').id, after, asker, gone);
    await sendFollowed(context.env.outgoing, followed);
    return RESPONSE_ALREADY_SENT;
  });
  app.openapi(cancel, async (context) =>
    context.json(await desk.cancel(context.req.valid('param').id, keyedAskerOf(context.get('principal'))), 202),
  );
  app.openapi(fetchArtefact, async (context) => {
    const { id, name } = context.req.valid('param');
    const { outgoing } = context.env;
    const asker = keyedAskerOf(context.get('principal'));
    const { artefact, bytes: content } = await desk.artefact(id, name, asker, goneWith(outgoing));
    outgoing.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': String(artefact.size),
      'cache-control': 'no-store',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      [SHA256_HEADER]: artefact.sha256,
    });
    // What breaks off is seen to be shorter than was said.
    await pipeline(content, outgoing).catch(() => outgoing.destroy());
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}

/** The query’s, or what a client that comes back says by itself. Throws USAGE. */
export function afterOf(context: Context<ApiEnvironment>, asked: number | undefined): number {
  const last = context.req.header('last-event-id');
  if (asked !== undefined || last === undefined) return asked ?? 0;
  if (/^[0-9]{1,15}$/.test(last)) return Number(last);
  throw new FederationError('USAGE', 'Last-Event-ID: is no seq', { hint: 'see /api/v1/openapi.json' });
}

/** Aborted when the client is. */
export function goneWith(response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  return gone.signal;
}

/** Resolves when all is sent, or the client went away. */
export async function sendFollowed(response: ServerResponse, followed: AsyncIterable<Followed>): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
  // Not while the client takes nothing: what it has not read is enough to see that it is there.
  const beat = (): void => void (response.writableLength === 0 && response.write(': still here\n\n'));
  let heartbeat = setTimeout(function again() {
    beat();
    heartbeat = setTimeout(again, HEARTBEAT_MS);
  }, HEARTBEAT_MS);
  try {
    for await (const one of followed) {
      if (response.destroyed) return;
      if (!response.write(frameOf(one))) await drained(response);
    }
    response.end();
  } catch (error) {
    response.destroy();
    throw error;
  } finally {
    clearTimeout(heartbeat);
  }
}

function frameOf(one: Followed): string {
  if (one.kind === 'standing') return `event: standing\ndata: ${JSON.stringify(one.view)}\n\n`;
  return `id: ${one.event.seq}\ndata: ${JSON.stringify(one.event)}\n\n`;
}

async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  const over = new AbortController();
  const { signal } = over;
  const settled = [once(response, 'drain', { signal }), once(response, 'close', { signal })];
  await Promise.race(settled).catch(() => undefined);
  over.abort();
  await Promise.allSettled(settled);
}

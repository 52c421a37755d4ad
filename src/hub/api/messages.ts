import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import { handoffId } from '#src/hub/api/handoffs.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { keyedAskerOf } from '#src/hub/api/principal.ts';
import type { HandoffDesk } from '#src/hub/handoffs/desk.ts';
import { messageCreateSchema, messageViewSchema } from '#src/protocol/handoffs.ts';

const send = createRoute({
  method: 'post',
  path: '/messages',
  summary: 'Sends a message to an agent of another machine: one way, kept while its node is away, delivered once',
  request: { body: jsonBody(messageCreateSchema) },
  responses: {
    200: json(messageViewSchema, 'The key is known: this came of it'),
    201: json(messageViewSchema, 'It is durable that it is to be delivered'),
    default: failure,
  },
});

const show = createRoute({
  method: 'get',
  path: '/messages/{id}',
  summary: 'Whether a message was delivered',
  request: { params: handoffId },
  responses: { 200: json(messageViewSchema, 'The message'), default: failure },
});

/** Messages to agents. */
export function messageRoutes(desk: HandoffDesk): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(send, async (context) => {
    const { view, isNew } = await desk.send(context.req.valid('json'), keyedAskerOf(context.get('principal')));
    return isNew ? context.json(view, 201) : context.json(view, 200);
  });
  app.openapi(show, async (context) =>
    context.json(await desk.message(context.req.valid('param').id, keyedAskerOf(context.get('principal'))), 200),
  );
  return app;
}

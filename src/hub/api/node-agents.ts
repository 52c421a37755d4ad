import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { HandoffCaller, HandoffDesk } from '#src/hub/handoffs/desk.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import { limitBody } from '#src/hub/api/body.ts';
import { afterOf, eventQuery, goneWith, handoffId, sendFollowed } from '#src/hub/api/handoffs.ts';
import type { ApiEnvironment, Principal } from '#src/hub/api/principal.ts';
import { askingMember, askingNode } from '#src/hub/api/principal.ts';
import type { OfferedAgents } from '#src/hub/handoffs/offered.ts';
import { agentOfferSchema, handoffCreateSchema, handoffIdSchema, handoffViewSchema } from '#src/protocol/handoffs.ts';

/** A hundred agents, each described at length. */
const MAX_OFFER_BYTES = 1 << 20;

const offer = createRoute({
  method: 'put',
  path: '/node/agents',
  summary: 'Which agents of the asking node take handoffs, in the place of those before; it ends with its link',
  request: { body: jsonBody(agentOfferSchema) },
  responses: { 200: json(z.object({ agents: z.int() }), 'They are offered to the federation'), default: failure },
});

const handOn = createRoute({
  method: 'post',
  path: '/node/handoffs',
  summary: 'Hands on a part of what an agent of the asking node works on',
  description:
    'In the name of whoever asked for `parent`, which has to run on this node now; only where hub.onward is on.',
  request: { body: jsonBody(handoffCreateSchema.extend({ parent: handoffIdSchema })) },
  responses: {
    200: json(handoffViewSchema, 'The key is known: this came of it'),
    201: json(handoffViewSchema, 'It is durable that it is to be done'),
    default: failure,
  },
});

const show = createRoute({
  method: 'get',
  path: '/node/handoffs/{id}',
  summary: 'How a handoff stands that this node handed on',
  request: { params: handoffId },
  responses: { 200: json(handoffViewSchema, 'The handoff'), default: failure },
});

const follow = createRoute({
  method: 'get',
  path: '/node/handoffs/{id}/events',
  summary: 'What happens in it; as /handoffs/{id}/events',
  request: { params: handoffId, query: eventQuery },
  responses: {
    200: { description: 'The events', content: { 'text/event-stream': { schema: z.string() } } },
    default: failure,
  },
});

const cancel = createRoute({
  method: 'delete',
  path: '/node/handoffs/{id}',
  summary: 'Asks for the end of a handoff that this node handed on',
  request: { params: handoffId },
  responses: { 202: json(handoffViewSchema, 'It is durable that its end was asked for'), default: failure },
});

export interface NodeAgentRoutes {
  readonly handoffs: { readonly desk: HandoffDesk; readonly offered: Pick<OfferedAgents, 'knock' | 'put'> };
}

/** What a member says of its agents, and what they hand on. */
export function nodeAgentRoutes({ handoffs: { desk, offered } }: NodeAgentRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  // Before any of it is read: that costs more than to send it.
  app.use('/node/agents', limitBody(MAX_OFFER_BYTES), async (context, next) => {
    offered.knock(askingNode(context.get('principal')).member.id);
    await next();
  });
  app.openapi(offer, (context) => {
    const { member, link } = askingNode(context.get('principal'));
    const { agents } = context.req.valid('json');
    offered.put(member.id, link, agents);
    return context.json({ agents: agents.length }, 200);
  });
  app.openapi(handOn, async (context) => {
    const { parent, ...wish } = context.req.valid('json');
    const { view, isNew } = await desk.create(wish, callerOf(context.get('principal')), parent);
    return isNew ? context.json(view, 201) : context.json(view, 200);
  });
  app.openapi(show, async (context) =>
    context.json(await desk.get(context.req.valid('param').id, callerOf(context.get('principal'))), 200),
  );
  app.openapi(follow, async (context) => {
    const caller = callerOf(context.get('principal'));
    const after = afterOf(context, context.req.valid('query').after);
    const gone = goneWith(context.env.outgoing);
    await sendFollowed(context.env.outgoing, await desk.follow(context.req.valid('param').id, after, caller, gone));
    return RESPONSE_ALREADY_SENT;
  });
  app.openapi(cancel, async (context) =>
    context.json(await desk.cancel(context.req.valid('param').id, callerOf(context.get('principal'))), 202),
  );
  return app;
}

function callerOf(principal: Principal): HandoffCaller {
  return { kind: 'node', id: askingMember(principal).id };
}

import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import { limitBody } from '#src/hub/api/body.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askingNode } from '#src/hub/api/principal.ts';
import type { Models } from '#src/hub/models/models.ts';
import { MAX_OFFER_BYTES, offerSchema, offerTakenSchema } from '#src/protocol/models.ts';

const offer = createRoute({
  method: 'put',
  path: '/node/models',
  summary: 'What the asking node shares of its models, in the place of what it shared before; it ends with its link',
  request: { body: jsonBody(offerSchema) },
  responses: { 200: json(offerTakenSchema, 'It is offered to the federation'), default: failure },
});

export interface NodeModelRoutes {
  readonly models: Pick<Models, 'offers' | 'problems'>;
}

/** What a member says of its models. */
export function nodeModelRoutes({ models }: NodeModelRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  // Before any of it is read: that costs more than to send it.
  app.use('/node/models', limitBody(MAX_OFFER_BYTES), async (context, next) => {
    models.offers.knock(askingNode(context.get('principal')).member.id);
    await next();
  });
  app.openapi(offer, (context) => {
    const { member, link } = askingNode(context.get('principal'));
    const { models: offered, problems = [] } = context.req.valid('json');
    models.offers.put(member.id, link, offered);
    models.problems.put(member.id, problems);
    return context.json({ models: offered.length, allowed: member.grantedModels }, 200);
  });
  return app;
}

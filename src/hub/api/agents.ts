import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure, json, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { HandoffDesk } from '#src/hub/handoffs/desk.ts';
import { agentViewSchema } from '#src/protocol/handoffs.ts';

const list = createRoute({
  method: 'get',
  path: '/agents',
  summary: 'Agents that take handoffs, of the nodes that are there, and what they do now',
  responses: { 200: json(z.array(agentViewSchema), 'The agents'), default: failure },
});

/** Who takes work. */
export function agentRoutes(desk: HandoffDesk): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(list, (context) => context.json(desk.agents(), 200));
  return app;
}

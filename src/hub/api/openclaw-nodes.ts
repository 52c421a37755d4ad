import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure, json } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { OpenClawNodes } from '#src/hub/openclaw/nodes.ts';
import { openClawNodeSchema } from '#src/protocol/hub-api/openclaw-node.ts';

const listNodes = createRoute({
  method: 'get',
  path: '/openclaw-nodes',
  summary: 'Nodes that run only OpenClaw’s own node host or app, and are no members',
  responses: { 200: json(z.array(openClawNodeSchema), 'The nodes'), default: failure },
});

/** What the gateway has beside the members' node hosts. */
export function openClawNodeRoutes(nodes: OpenClawNodes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>();
  app.openapi(listNodes, (context) => context.json([...nodes.list()], 200));
  return app;
}

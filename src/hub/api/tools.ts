import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askerOf } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { NodeTools } from '#src/hub/tools/tools.ts';
import { toolRequestSchema, toolResultSchema } from '#src/protocol/tools.ts';

const callTool = createRoute({
  method: 'post',
  path: '/nodes/{word}/tool',
  summary: 'Calls a tool of a node: one of its own OpenClaw gateway, or `node:COMMAND` of its node host',
  request: { params: word, body: jsonBody(toolRequestSchema) },
  responses: { 200: json(toolResultSchema, 'What the tool answers'), default: failure },
});

/** Calling tools of nodes. */
export function toolRoutes(tools: NodeTools): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(callTool, async (context) => {
    const asker = askerOf(context.get('principal'));
    const { word: meant } = context.req.valid('param');
    const gone = new AbortController();
    context.env.outgoing.once('close', () => gone.abort());
    return context.json(await tools.call(meant, context.req.valid('json'), asker, gone.signal), 200);
  });
  return app;
}

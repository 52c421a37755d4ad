import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { Approvals } from '#src/hub/approval.ts';
import { explanationSchema, judgementSchema, judgeSchema } from '#src/protocol/hub-api.ts';

const id = z.object({ id: z.string().min(1).max(256).describe('Id, unique prefix of it, fingerprint or name') });

const judgeRequest = createRoute({
  method: 'post',
  path: '/pairing-requests/{id}/judge',
  summary: 'Lets the rules decide on a node that waits, and does what they say',
  request: { params: id, body: jsonBody(judgeSchema) },
  responses: { 200: json(judgementSchema, 'What they say, and what was done'), default: failure },
});

const explainRequest = createRoute({
  method: 'get',
  path: '/pairing-requests/{id}/explanation',
  summary: 'Which rule would decide on a node that waits, and why',
  request: { params: id, query: z.object({ approveEverything: z.enum(['true', 'false']).default('false') }) },
  responses: { 200: json(explanationSchema, 'Lines for a terminal'), default: failure },
});

export function approvalRoutes(approvals: Approvals): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(judgeRequest, async (context) =>
    context.json(await approvals.judge(context.req.valid('param').id, context.req.valid('json')), 200),
  );
  app.openapi(explainRequest, (context) => {
    const approveEverything = context.req.valid('query').approveEverything === 'true';
    return context.json({ lines: [...approvals.explain(context.req.valid('param').id, { approveEverything })] }, 200);
  });
  return app;
}

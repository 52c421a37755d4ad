import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { failure, json, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { Readinesses } from '#src/hub/enrolment/readiness.ts';
import { readinessSchema } from '#src/protocol/hub-api/readiness.ts';

const showReadiness = createRoute({
  method: 'get',
  path: '/nodes/{word}/readiness',
  summary: 'How far a node that was let in, or one of OpenClaw’s own, is on its way to be usable',
  request: { params: word },
  responses: { 200: json(readinessSchema, 'Its steps'), default: failure },
});

export interface ReadinessRoutes {
  readonly readinesses: Readinesses;
}

export function readinessRoutes({ readinesses }: ReadinessRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(showReadiness, async (context) =>
    context.json(await readinesses.of(context.req.valid('param').word), 200),
  );
  return app;
}

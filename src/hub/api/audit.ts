import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure, json, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import type { AuditLog } from '#src/hub/audit.ts';
import { auditView } from '#src/hub/views.ts';
import { auditRecordSchema, auditVerdictSchema } from '#src/protocol/hub-api/audit.ts';

const listAudit = createRoute({
  method: 'get',
  path: '/audit',
  summary: 'The latest records of the audit, in their order',
  request: { query: z.object({ limit: z.coerce.number().int().min(1).max(10_000).default(50) }) },
  responses: { 200: json(z.array(auditRecordSchema), 'The records'), default: failure },
});

const verifyAudit = createRoute({
  method: 'get',
  path: '/audit/verdict',
  summary: 'Whether the chain of records is whole',
  responses: { 200: json(auditVerdictSchema, 'The verdict'), default: failure },
});

export function auditRoutes(audit: AuditLog): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(listAudit, async (context) => {
    const records = await audit.latest(context.req.valid('query').limit);
    return context.json(records.map(auditView), 200);
  });
  app.openapi(verifyAudit, async (context) => context.json(await audit.verify(), 200));
  return app;
}

import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment, Principal } from '#src/hub/api/principal.ts';
import { askerName, askerOf } from '#src/hub/api/principal.ts';
import type { CommandApprovals } from '#src/hub/approvals/command-approvals.ts';
import type { Permits } from '#src/hub/approvals/permits.ts';
import {
  commandApprovalStateSchema,
  commandDecisionSchema,
  verdictsCreateSchema,
  verdictsSchema,
} from '#src/protocol/action.ts';
import { approvalIdSchema } from '#src/protocol/approval.ts';

const askVerdicts = createRoute({
  method: 'post',
  path: '/verdicts',
  summary: 'Whether something may be done, and asks the owner where that is needed; nothing is done',
  request: { body: jsonBody(verdictsCreateSchema) },
  responses: { 200: json(verdictsSchema, 'The verdict for each node'), default: failure },
});

const answerApproval = createRoute({
  method: 'post',
  path: '/command-approvals/{id}',
  summary: 'Answers what the owner was asked; the first answer counts, and a hub that was started anew knows none',
  request: { params: z.object({ id: approvalIdSchema }), body: jsonBody(commandDecisionSchema) },
  responses: { 200: json(commandApprovalStateSchema, 'How it stands now'), default: failure },
});

export interface VerdictRoutes {
  readonly permits: Permits;
  readonly commandApprovals: CommandApprovals;
}

/** What comes before something is done from a chat. */
export function verdictRoutes({ permits, commandApprovals }: VerdictRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(askVerdicts, async (context) => {
    const asker = askerOf(context.get('principal'));
    return context.json(await permits.verdicts(context.req.valid('json'), asker), 200);
  });
  app.openapi(answerApproval, async (context) => {
    const by = answeredBy(context.get('principal'));
    const { decision } = context.req.valid('json');
    return context.json(await commandApprovals.answer(context.req.valid('param').id, decision, by), 200);
  });
  return app;
}

/** OpenClaw does not say who pressed the button: it may be whoever it takes an approval from. */
function answeredBy(principal: Principal): string {
  const name = askerName(principal);
  return principal.kind === 'plugin' ? `the gateway, for ${name}` : name;
}

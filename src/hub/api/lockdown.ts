import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import type { LockdownKeeper } from '#src/hub/jobs/lockdown.ts';
import { lockdownView } from '#src/hub/views.ts';
import { lockdownSchema, lockdownStatusSchema, lockedDownSchema } from '#src/protocol/hub-api/lockdown.ts';

const beginLockdown = createRoute({
  method: 'post',
  path: '/lockdown',
  summary: 'Ends all that runs on every node, and lets nothing run until it is lifted',
  request: { body: jsonBody(lockdownSchema) },
  responses: { 200: json(lockedDownSchema, 'What was ended, and who did not confirm it'), default: failure },
});

const liftLockdown = createRoute({
  method: 'post',
  path: '/lockdown/lift',
  summary: 'Lets commands run again',
  responses: { 200: json(lockdownStatusSchema, 'What was lifted; null where nothing was'), default: failure },
});

export interface LockdownRoutes {
  readonly lockdown: LockdownKeeper;
  /** Name of a node, by its id. */
  readonly nameOf: (nodeId: string) => string;
}

export function lockdownRoutes({ lockdown, nameOf }: LockdownRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(beginLockdown, async (context) => {
    const by = operatorName(context.get('principal'));
    const { reason = null } = context.req.valid('json');
    const begun = await lockdown.begin(reason, by);
    const unconfirmed = begun.unconfirmed.map(nameOf);
    return context.json({ ...begun, lockdown: lockdownView(begun.lockdown)!, unconfirmed }, 200);
  });
  app.openapi(liftLockdown, async (context) => {
    const lifted = await lockdown.lift(operatorName(context.get('principal')));
    return context.json(lockdownView(lifted), 200);
  });
  return app;
}

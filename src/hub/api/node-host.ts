import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askingMember } from '#src/hub/api/principal.ts';
import type { GatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { LockdownKeeper } from '#src/hub/jobs/lockdown.ts';
import { ownNodeHostSchema, setupCodeRequestSchema, setupCodeSchema } from '#src/protocol/hub-api/node-host.ts';

const ownNodeHost = createRoute({
  method: 'get',
  path: '/node-host',
  summary: 'What the gateway says of the asking node’s own node host',
  responses: { 200: json(ownNodeHostSchema, 'Its state'), default: failure },
});

const setupCode = createRoute({
  method: 'post',
  path: '/node-host/setup-code',
  summary: 'A setup code for the asking node’s own node host: single use, good for a node and nothing more',
  request: { body: jsonBody(setupCodeRequestSchema) },
  responses: { 200: json(setupCodeSchema, 'The code'), default: failure },
});

export interface NodeHostRoutes {
  readonly desk: GatewayDesk;
  readonly lockdown: Pick<LockdownKeeper, 'status'>;
}

/** What a worker daemon asks for the node host that it supervises. */
export function nodeHostRoutes({ desk, lockdown }: NodeHostRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(ownNodeHost, (context) => {
    const state = desk.nodeHostState(askingMember(context.get('principal')));
    // Nothing is carried to the gateway now: to start a node host anew would bring it no nearer.
    const isShut = lockdown.status() !== null && state !== 'none';
    return context.json({ nodeHost: isShut ? ('unknown' as const) : state }, 200);
  });
  app.openapi(setupCode, async (context) => {
    const member = askingMember(context.get('principal'));
    if (!member.facts.offers.includes('node-host')) {
      throw new FederationError('FORBIDDEN', 'this node did not say that it runs a node host');
    }
    const code = await desk.setupCode(member, context.req.valid('json').carrierPort);
    return context.json({ setupCode: code.setupCode, expiresAt: new Date(code.expiresAt).toISOString() }, 200);
  });
  return app;
}

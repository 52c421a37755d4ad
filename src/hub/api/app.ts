import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import type { Hono } from 'hono';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { agentRoutes } from '#src/hub/api/agents.ts';
import { answerError, failure, json } from '#src/hub/api/answers.ts';
import { auditRoutes } from '#src/hub/api/audit.ts';
import { limitBody } from '#src/hub/api/body.ts';
import type { EventSources } from '#src/hub/api/events.ts';
import { eventRoutes } from '#src/hub/api/events.ts';
import { fileRoutes } from '#src/hub/api/files.ts';
import { handoffRoutes } from '#src/hub/api/handoffs.ts';
import { jobRoutes } from '#src/hub/api/jobs.ts';
import type { LockdownRoutes } from '#src/hub/api/lockdown.ts';
import { lockdownRoutes } from '#src/hub/api/lockdown.ts';
import type { MemberRoutes } from '#src/hub/api/members.ts';
import { memberRoutes } from '#src/hub/api/members.ts';
import type { MetricsRouteOptions, ModelRoutesOptions } from '#src/hub/api/models.ts';
import { metricsRoute, modelRoutes } from '#src/hub/api/models.ts';
import { messageRoutes } from '#src/hub/api/messages.ts';
import type { NodeAgentRoutes } from '#src/hub/api/node-agents.ts';
import { nodeAgentRoutes } from '#src/hub/api/node-agents.ts';
import { nodeHostRoutes } from '#src/hub/api/node-host.ts';
import { nodeKeyRoutes } from '#src/hub/api/node-key.ts';
import { nodeModelRoutes } from '#src/hub/api/node-models.ts';
import type { NodeRoutes } from '#src/hub/api/nodes.ts';
import { nodeRoutes } from '#src/hub/api/nodes.ts';
import { openClawNodeRoutes } from '#src/hub/api/openclaw-nodes.ts';
import { operatorRoutes } from '#src/hub/api/operators.ts';
import { pairingRequestRoutes } from '#src/hub/api/pairing-requests.ts';
import type { ApiEnvironment, Finders } from '#src/hub/api/principal.ts';
import { authorize } from '#src/hub/api/principal.ts';
import type { ReadinessRoutes } from '#src/hub/api/readiness.ts';
import { readinessRoutes } from '#src/hub/api/readiness.ts';
import { tokenRoutes } from '#src/hub/api/tokens.ts';
import { toolRoutes } from '#src/hub/api/tools.ts';
import type { VerdictRoutes } from '#src/hub/api/verdicts.ts';
import { verdictRoutes } from '#src/hub/api/verdicts.ts';
import type { AuditLog } from '#src/hub/audit.ts';
import type { NodeFiles } from '#src/hub/files/files.ts';
import type { GatewayDesk } from '#src/hub/openclaw/gateway.ts';
import type { Jobs } from '#src/hub/jobs/jobs.ts';
import type { Operators } from '#src/hub/operators/operators.ts';
import type { NodeTools } from '#src/hub/tools/tools.ts';
import type { Tokens } from '#src/hub/enrolment/tokens.ts';
import type { Status } from '#src/protocol/hub-api/status.ts';
import { healthSchema, statusSchema } from '#src/protocol/hub-api/status.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

const showHealth = createRoute({
  method: 'get',
  path: '/health',
  summary: 'Whether the hub answers',
  responses: { 200: json(healthSchema, 'It does') },
});

const showStatus = createRoute({
  method: 'get',
  path: '/api/v1/status',
  summary: 'The hub in numbers',
  responses: { 200: json(statusSchema, 'The status'), default: failure },
});

const PROTOCOL_RANGE = { min: Math.min(...PROTOCOL_VERSIONS), max: Math.max(...PROTOCOL_VERSIONS) };

/** Longest JSON body: a command is at most 256 KiB, and a list of targets some more. */
const MAX_BODY_BYTES = 8 << 20;

export interface AppOptions
  extends
    NodeRoutes,
    MemberRoutes,
    LockdownRoutes,
    ReadinessRoutes,
    Omit<EventSources, 'commandApprovals'>,
    VerdictRoutes,
    ModelRoutesOptions,
    NodeAgentRoutes,
    Finders {
  readonly handoffs: NodeAgentRoutes['handoffs'] & MetricsRouteOptions['handoffs'];
  readonly operators: Operators;
  readonly tokens: Tokens;
  readonly jobs: Jobs;
  readonly files: NodeFiles;
  readonly tools: NodeTools;
  readonly audit: AuditLog;
  readonly desk: GatewayDesk;
  readonly hubId: string;
  readonly status: () => Status;
  /** Agents for other programs, who prove themselves otherwise; null where there are none. */
  readonly a2a: Hono<ApiEnvironment> | null;
  readonly log: Log;
}

/** The hub's HTTP API: routes, their schemas, and the document that describes them. */
export function createApp(options: AppOptions): OpenAPIHono<ApiEnvironment> {
  const { jobs, audit, hubId, status, log } = options;
  const app = new OpenAPIHono<ApiEnvironment>();
  app.onError(answerError(log));
  app.notFound((context) => {
    throw new FederationError('NOT_FOUND', `there is no ${context.req.method} ${context.req.path}`, {
      hint: 'see /api/v1/openapi.json',
    });
  });
  if (options.a2a !== null) app.route('/a2a', options.a2a);
  app.use('*', authorize(options));
  app.use('*', limitBody(MAX_BODY_BYTES));

  app.openapi(showHealth, (context) => {
    const { version, epoch } = status();
    return context.json({ status: 'ok' as const, version, epoch, hubId, protocol: PROTOCOL_RANGE }, 200);
  });
  app.openapi(showStatus, (context) => context.json(status(), 200));
  app.route('/api/v1', nodeRoutes(options));
  app.route('/api/v1', memberRoutes(options));
  app.route('/api/v1', readinessRoutes(options));
  app.route('/api/v1', openClawNodeRoutes(options.openClawNodes));
  app.route('/api/v1', pairingRequestRoutes(options));
  app.route('/api/v1', tokenRoutes(options));
  app.route('/api/v1', eventRoutes(options));
  app.route('/api/v1', jobRoutes(jobs));
  app.route('/api/v1', fileRoutes(options.files));
  app.route('/api/v1', toolRoutes(options.tools));
  app.route('/api/v1', verdictRoutes(options));
  app.route('/api/v1', lockdownRoutes(options));
  app.route('/api/v1', auditRoutes(audit));
  app.route('/api/v1', nodeHostRoutes(options));
  app.route('/api/v1', operatorRoutes(options.operators));
  app.route('/api/v1', nodeKeyRoutes(options));
  app.route('/api/v1', nodeModelRoutes(options));
  app.route('/api/v1', modelRoutes(options));
  app.route('/api/v1', nodeAgentRoutes(options));
  app.route('/api/v1', handoffRoutes(options.handoffs.desk));
  app.route('/api/v1', messageRoutes(options.handoffs.desk));
  app.route('/api/v1', agentRoutes(options.handoffs.desk));
  app.route('/', metricsRoute(options));
  app.doc31('/api/v1/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'OpenClaw Federation hub', version: 'v1', description: 'Times are ISO 8601 in UTC.' },
  });
  return app;
}

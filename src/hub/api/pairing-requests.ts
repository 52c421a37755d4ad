import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { FederationError } from '#src/core/errors.ts';
import { fingerprint } from '#src/core/node.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { askerName } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { Approvals } from '#src/hub/enrolment/approval.ts';
import type { Requests } from '#src/hub/enrolment/requests.ts';
import { approvedView, requestView } from '#src/hub/views.ts';
import { explanationSchema, judgementSchema, judgeSchema } from '#src/protocol/hub-api/judgement.ts';
import { approvedSchema, approveSchema, pairingRequestSchema } from '#src/protocol/hub-api/pairing-request.ts';

const listRequests = createRoute({
  method: 'get',
  path: '/pairing-requests',
  summary: 'All that wait for approval, of whatever kind',
  responses: { 200: json(z.array(pairingRequestSchema), 'The requests, the oldest first'), default: failure },
});

const approveRequest = createRoute({
  method: 'post',
  path: '/pairing-requests/{word}/approve',
  summary: 'Lets in what waits, or takes a revoked node back',
  request: { params: word, body: jsonBody(approveSchema) },
  responses: { 200: json(approvedSchema, 'What was let in'), default: failure },
});

const rejectRequest = createRoute({
  method: 'post',
  path: '/pairing-requests/{word}/reject',
  summary: 'Refuses it until it is approved after all',
  request: { params: word },
  responses: { 200: json(pairingRequestSchema, 'The request'), default: failure },
});

const judgeRequest = createRoute({
  method: 'post',
  path: '/pairing-requests/{word}/judge',
  summary: 'Lets the rules decide on what waits, and does what they say',
  request: { params: word, body: jsonBody(judgeSchema) },
  responses: { 200: json(judgementSchema, 'What they say, and what was done'), default: failure },
});

const explainRequest = createRoute({
  method: 'get',
  path: '/pairing-requests/{word}/explanation',
  summary: 'Which rule would decide on what waits, and why',
  request: { params: word, query: z.object({ approveEverything: z.enum(['true', 'false']).default('false') }) },
  responses: {
    200: json(explanationSchema, 'What would be decided, and each rule with its conditions'),
    default: failure,
  },
});

export interface PairingRequestRoutes {
  readonly requests: Requests;
  readonly approvals: Approvals;
}

/** The one list of all that wait, and what becomes of them. */
export function pairingRequestRoutes({ requests, approvals }: PairingRequestRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(listRequests, (context) => {
    const inChat = context.get('principal').kind === 'plugin';
    return context.json(
      requests.list().map((asked) => requestView(asked, inChat)),
      200,
    );
  });
  app.openapi(approveRequest, async (context) => {
    const principal = context.get('principal');
    const { replace, models } = context.req.valid('json');
    const { word: meant } = context.req.valid('param');
    if (principal.kind === 'plugin') refuseInChat(requests, meant, replace);
    // Who serves a request for a model reads it: that is more than a chat can give.
    const approval = { replace, models: models && principal.kind !== 'plugin', by: askerName(principal) };
    const approved = await requests.approve(meant, approval);
    return context.json(approvedView(approved), 200);
  });
  app.openapi(rejectRequest, async (context) => {
    const request = await requests.reject(context.req.valid('param').word, askerName(context.get('principal')));
    return context.json(requestView(request, false), 200);
  });
  app.openapi(judgeRequest, async (context) =>
    context.json(await approvals.judge(context.req.valid('param').word, context.req.valid('json')), 200),
  );
  app.openapi(explainRequest, (context) => {
    const approveEverything = context.req.valid('query').approveEverything === 'true';
    return context.json(approvals.explain(context.req.valid('param').word, { approveEverything }), 200);
  });
  return app;
}

/**
 * A chat lets in what waits there, and takes nobody's place away, takes nobody back, and makes nobody an operator: those
 * have more rights than the chat itself.
 */
function refuseInChat(requests: Requests, word: string, replace: boolean): void {
  const { kind, keyId, name } = requests.find(word).request;
  if (kind === 'operator') {
    throw new FederationError('FORBIDDEN', `${name} asks to operate the federation, which no chat can allow`, {
      hint: `compare the fingerprint, then on the master: manage-federation approve ${fingerprint(keyId)}`,
    });
  }
  if (replace) {
    throw new FederationError('FORBIDDEN', 'a node is not replaced from a chat', {
      hint: `on the master: manage-federation approve ${fingerprint(keyId)} --replace`,
    });
  }
}

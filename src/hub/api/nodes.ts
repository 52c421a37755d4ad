import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Member } from '#src/core/membership.ts';
import { roleOf } from '#src/core/membership.ts';
import { findNode } from '#src/core/selector.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import type { Enrolment } from '#src/hub/enrolment.ts';
import type { Revocation } from '#src/hub/revocation.ts';
import { findMember, isMeant } from '#src/hub/targets.ts';
import type { ViewSources } from '#src/hub/views.ts';
import { nodeDetail, nodeView, requestView } from '#src/hub/views.ts';
import {
  approveSchema,
  joinTokenSchema,
  nodeDetailSchema,
  nodeSchema,
  pairingRequestSchema,
  tokenCreatedSchema,
  tokenCreateSchema,
} from '#src/protocol/hub-api.ts';

const word = z.object({
  word: z.string().min(1).max(256).describe('Name, id, unique prefix of an id, or fingerprint'),
});

const listNodes = createRoute({
  method: 'get',
  path: '/nodes',
  summary: 'Every member, the revoked ones last',
  responses: { 200: json(z.array(nodeSchema), 'The members'), default: failure },
});

const showNode = createRoute({
  method: 'get',
  path: '/nodes/{word}',
  summary: 'One member with all that is known of it',
  request: { params: word },
  responses: { 200: json(nodeDetailSchema, 'The member'), default: failure },
});

const revokeNode = createRoute({
  method: 'post',
  path: '/nodes/{word}/revoke',
  summary: 'Puts a member out: its link closes and its jobs end',
  request: { params: word },
  responses: { 200: json(nodeDetailSchema, 'The former member'), default: failure },
});

const listRequests = createRoute({
  method: 'get',
  path: '/pairing-requests',
  summary: 'The nodes that wait for approval',
  responses: { 200: json(z.array(pairingRequestSchema), 'The requests, the oldest first'), default: failure },
});

const approveRequest = createRoute({
  method: 'post',
  path: '/pairing-requests/{word}/approve',
  summary: 'Admits a node',
  request: { params: word, body: jsonBody(approveSchema) },
  responses: { 200: json(nodeDetailSchema, 'The new member'), default: failure },
});

const rejectRequest = createRoute({
  method: 'post',
  path: '/pairing-requests/{word}/reject',
  summary: 'Refuses a node until it is approved after all',
  request: { params: word },
  responses: { 200: json(pairingRequestSchema, 'The request'), default: failure },
});

const createToken = createRoute({
  method: 'post',
  path: '/tokens',
  summary: 'Makes a join token; the answer is the only place where it is shown',
  request: { body: jsonBody(tokenCreateSchema) },
  responses: { 200: json(tokenCreatedSchema, 'The token'), default: failure },
});

/**
 * Open to whoever can reach the hub, so that a machine can learn what its token is good for before anything on it is
 * changed. The hash admits nobody and shows nothing of the secret, and who does not have the token can't guess it.
 */
const showToken = createRoute({
  method: 'get',
  path: '/join-tokens/{hash}',
  summary: 'What a join token is good for, asked by the SHA-256 of its secret; it uses up nothing',
  request: { params: z.object({ hash: z.string().regex(/^[0-9a-f]{64}$/) }) },
  responses: { 200: json(joinTokenSchema, 'The token'), default: failure },
});

export interface NodeRoutes {
  readonly enrolment: Enrolment;
  readonly views: ViewSources;
  readonly revocation: Revocation;
}

/** Members, those who want to be, and tokens. */
export function nodeRoutes({ enrolment, views, revocation }: NodeRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(listNodes, (context) => {
    const members = [...enrolment.members()].toSorted(byStanding);
    return context.json(
      members.map((member) => nodeView(member, views)),
      200,
    );
  });
  app.openapi(showNode, (context) => {
    const member = memberOf(enrolment, context.req.valid('param').word);
    return context.json(nodeDetail(member, views), 200);
  });
  app.openapi(revokeNode, async (context) => {
    const id = await revocation.revoke(context.req.valid('param').word, operatorName(context.get('principal')));
    return context.json(nodeDetail(enrolment.member(id)!, views), 200);
  });
  app.openapi(listRequests, (context) => {
    const requests = enrolment.requests().toSorted((a, b) => a.firstAskedAt - b.firstAskedAt);
    return context.json(requests.map(requestView), 200);
  });
  app.openapi(approveRequest, async (context) => {
    const by = operatorName(context.get('principal'));
    const { replace } = context.req.valid('json');
    const member = await revocation.approve(context.req.valid('param').word, { replace, by });
    return context.json(nodeDetail(member, views), 200);
  });
  app.openapi(rejectRequest, async (context) => {
    const request = await enrolment.reject(context.req.valid('param').word, operatorName(context.get('principal')));
    return context.json(requestView(request), 200);
  });
  app.openapi(createToken, async (context) => {
    const token = await enrolment.createToken(context.req.valid('json'), operatorName(context.get('principal')));
    return context.json(token, 200);
  });
  app.openapi(showToken, (context) => {
    const token = enrolment.token(context.req.valid('param').hash);
    const { name, usesLeft, expiresAt } = token;
    return context.json({ role: roleOf(token), name, usesLeft, expiresAt: new Date(expiresAt).toISOString() }, 200);
  });
  return app;
}

/** A name means the member that has it now; one that had it and was revoked is found by its id. */
function memberOf(enrolment: Enrolment, word: string): Member {
  const members = [...enrolment.members()];
  const known = members.filter((member) => isMeant(member, word));
  if (known.length > 0 && known.every(({ revokedAt }) => revokedAt !== null)) return findNode(known, word);
  return findMember(members, enrolment.requests(), word);
}

const RANK = { master: 0, hybrid: 1, worker: 2 } as const;

function byStanding(
  a: { name: string; role: keyof typeof RANK; revokedAt: number | null },
  b: { name: string; role: keyof typeof RANK; revokedAt: number | null },
): number {
  const rank = (one: typeof a) => (one.revokedAt === null ? 0 : 10) + RANK[one.role];
  return rank(a) - rank(b) || a.name.localeCompare(b.name, 'en', { numeric: true });
}

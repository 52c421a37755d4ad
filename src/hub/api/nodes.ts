import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Member } from '#src/core/member.ts';
import type { Named } from '#src/core/selector.ts';
import { findNode } from '#src/core/selector.ts';
import { failure, json, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { Enrolment } from '#src/hub/enrolment/enrolment.ts';
import type { OpenClawNodes } from '#src/hub/openclaw/nodes.ts';
import type { Requests } from '#src/hub/enrolment/requests.ts';
import type { Revocation } from '#src/hub/enrolment/revocation.ts';
import { findMember, isMeant } from '#src/hub/fleet/targets.ts';
import type { ViewSources } from '#src/hub/views.ts';
import { nodeDetail, nodeView } from '#src/hub/views.ts';
import type { OpenClawNodeView } from '#src/protocol/hub-api/openclaw-node.ts';
import { nodeDetailSchema, nodeSchema } from '#src/protocol/hub-api/node.ts';
import { revokedSchema } from '#src/protocol/hub-api/openclaw-node.ts';

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
  summary:
    'Puts a member out: its link closes and its jobs end; or takes one of OpenClaw’s own nodes out of the gateway',
  request: { params: word },
  responses: { 200: json(revokedSchema, 'What was revoked'), default: failure },
});

export interface NodeRoutes {
  readonly enrolment: Enrolment;
  readonly requests: Requests;
  readonly views: ViewSources;
  readonly revocation: Revocation;
  readonly openClawNodes: OpenClawNodes;
}

/** The members. */
export function nodeRoutes({
  enrolment,
  requests,
  views,
  revocation,
  openClawNodes,
}: NodeRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  app.openapi(listNodes, (context) => {
    const members = [...enrolment.members()].filter(({ pruned }) => !pruned).toSorted(byStanding);
    return context.json(
      members.map((member) => nodeView(member, views)),
      200,
    );
  });
  app.openapi(showNode, (context) => {
    const member = memberOf(enrolment, requests, context.req.valid('param').word);
    return context.json(nodeDetail(member, views), 200);
  });
  app.openapi(revokeNode, async (context) => {
    const { word: meant } = context.req.valid('param');
    const by = operatorName(context.get('principal'));
    const own = openClawNode(enrolment, openClawNodes, meant);
    if (own !== null) {
      await openClawNodes.revoke(own.id, by);
      return context.json(openClawNodes.node(own.id) ?? { ...own, state: 'removing' as const }, 200);
    }
    const id = await revocation.revoke(meant, by);
    return context.json(nodeDetail(enrolment.member(id)!, views), 200);
  });
  return app;
}

/** A name means the member that has it now; one that had it and was revoked is found by its id. */
function memberOf(enrolment: Enrolment, requests: Requests, word: string): Member {
  const members = [...enrolment.members()];
  const known = members.filter((member) => isMeant(member, word));
  if (known.length > 0 && known.every(({ revokedAt }) => revokedAt !== null)) return findNode(known, word);
  return findMember(members, requests.list, word);
}

/** The one of OpenClaw's own nodes that a word means; null where it means a member or nothing. Throws NODE_AMBIGUOUS. */
function openClawNode(enrolment: Enrolment, openClawNodes: OpenClawNodes, meant: string): OpenClawNodeView | null {
  const own = openClawNodes.list();
  const members = [...enrolment.members()].filter(({ revokedAt }) => revokedAt === null);
  if (!own.some((node) => isMeant(node, meant))) return null;
  const { id } = findNode<Named>([...members, ...own], meant);
  return own.find((node) => node.id === id) ?? null;
}

const RANK = { master: 0, hybrid: 1, worker: 2 } as const;

function byStanding(
  a: { name: string; role: keyof typeof RANK; revokedAt: number | null },
  b: { name: string; role: keyof typeof RANK; revokedAt: number | null },
): number {
  const rank = (one: typeof a) => (one.revokedAt === null ? 0 : 10) + RANK[one.role];
  return rank(a) - rank(b) || a.name.localeCompare(b.name, 'en', { numeric: true });
}

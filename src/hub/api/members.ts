import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import type { Member } from '#src/core/member.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { Members } from '#src/hub/enrolment/members.ts';
import type { PrunedGhost, Pruning } from '#src/hub/enrolment/prune.ts';
import type { ViewSources } from '#src/hub/views.ts';
import { nodeDetail } from '#src/hub/views.ts';
import type { GhostView } from '#src/protocol/hub-api/prune.ts';
import { nodeDetailSchema, regroupSchema, relabelSchema, renameSchema } from '#src/protocol/hub-api/node.ts';
import { prunedSchema, pruneSchema } from '#src/protocol/hub-api/prune.ts';

const responses = { 200: json(nodeDetailSchema, 'The member as it is now'), default: failure };

const renameNode = createRoute({
  method: 'post',
  path: '/nodes/{word}/rename',
  summary: 'Gives a member another name; its key, machine and grants stay',
  request: { params: word, body: jsonBody(renameSchema) },
  responses,
});

const relabelNode = createRoute({
  method: 'post',
  path: '/nodes/{word}/labels',
  summary: 'Sets labels of a member, and with null takes them away',
  request: { params: word, body: jsonBody(relabelSchema) },
  responses,
});

const regroupNode = createRoute({
  method: 'post',
  path: '/nodes/{word}/groups',
  summary: 'Puts a member into groups and takes it out of others',
  request: { params: word, body: jsonBody(regroupSchema) },
  responses,
});

const drainNode = createRoute({
  method: 'post',
  path: '/nodes/{word}/drain',
  summary: 'Leaves a member out of what means all nodes or a group; by its name it can be used',
  request: { params: word },
  responses,
});

const undrainNode = createRoute({
  method: 'post',
  path: '/nodes/{word}/undrain',
  summary: 'Ends that',
  request: { params: word },
  responses,
});

const allowModels = createRoute({
  method: 'post',
  path: '/nodes/{word}/models/allow',
  summary: 'Lets others be served by the models that a member offers',
  request: { params: word },
  responses,
});

const denyModels = createRoute({
  method: 'post',
  path: '/nodes/{word}/models/deny',
  summary: 'Ends that: what it offers is for itself alone',
  request: { params: word },
  responses,
});

const pruneNodes = createRoute({
  method: 'post',
  path: '/prune',
  summary: 'Takes away what is of no use any more: revoked members, and members and devices that nobody saw for long',
  request: { body: jsonBody(pruneSchema) },
  responses: { 200: json(prunedSchema, 'What it is, the oldest first'), default: failure },
});

export interface MemberRoutes {
  readonly members: Members;
  readonly pruning: Pruning;
  readonly views: ViewSources;
}

/** What an operator does with members. */
export function memberRoutes({ members, pruning, views }: MemberRoutes): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  const detail = (member: Member) => nodeDetail(member, views);

  app.openapi(renameNode, async (context) => {
    const by = operatorName(context.get('principal'));
    const { name } = context.req.valid('json');
    return context.json(detail(await members.rename(context.req.valid('param').word, name, by)), 200);
  });
  app.openapi(relabelNode, async (context) => {
    const by = operatorName(context.get('principal'));
    const { labels } = context.req.valid('json');
    return context.json(detail(await members.relabel(context.req.valid('param').word, labels, by)), 200);
  });
  app.openapi(regroupNode, async (context) => {
    const by = operatorName(context.get('principal'));
    const groups = context.req.valid('json');
    return context.json(detail(await members.regroup(context.req.valid('param').word, groups, by)), 200);
  });
  for (const [route, drained] of [
    [drainNode, true],
    [undrainNode, false],
  ] as const) {
    app.openapi(route, async (context) => {
      const by = operatorName(context.get('principal'));
      return context.json(detail(await members.drain(context.req.valid('param').word, drained, by)), 200);
    });
  }
  for (const [route, allowed] of [
    [allowModels, true],
    [denyModels, false],
  ] as const) {
    app.openapi(route, async (context) => {
      const by = operatorName(context.get('principal'));
      return context.json(detail(await members.letOfferModels(context.req.valid('param').word, allowed, by)), 200);
    });
  }
  app.openapi(pruneNodes, async (context) => {
    const by = operatorName(context.get('principal'));
    const { unseenSeconds, dryRun, only = null } = context.req.valid('json');
    const unseenMs = unseenSeconds * 1000;
    const ghosts = dryRun
      ? pruning.ghosts(unseenMs).map((ghost) => ({ ...ghost, problem: null }))
      : await pruning.prune(unseenMs, only, by);
    return context.json({ ghosts: ghosts.map(ghostView), done: !dryRun, unasked: pruning.unasked() }, 200);
  });
  return app;
}

function ghostView({ lastSeenAt, ...ghost }: PrunedGhost): GhostView {
  return { ...ghost, lastSeenAt: new Date(lastSeenAt).toISOString() };
}

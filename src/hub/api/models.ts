import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ModelRoute } from '#src/core/models/catalog.ts';
import type { ModelKey, Spending } from '#src/core/models/key.ts';
import { dayOf, spentIn } from '#src/core/models/key.ts';
import { failure, json, jsonBody, refuseInvalid } from '#src/hub/api/answers.ts';
import type { ApiEnvironment } from '#src/hub/api/principal.ts';
import { operatorName } from '#src/hub/api/principal.ts';
import { word } from '#src/hub/api/word.ts';
import type { HandoffMetrics } from '#src/hub/handoffs/metrics.ts';
import type { Models } from '#src/hub/models/models.ts';
import {
  modelKeyCreatedSchema,
  modelKeyCreateSchema,
  modelKeySchema,
  modelUsageSchema,
  USAGE_BY,
} from '#src/protocol/model-keys.ts';
import {
  listedModelSchema,
  modelRouteSchema,
  modelRouteSetSchema,
  routeExplanationSchema,
  withheldModelsSchema,
} from '#src/protocol/models.ts';

const listModels = createRoute({
  method: 'get',
  path: '/models',
  summary: 'What may be written as a model, and the nodes behind it',
  responses: { 200: json(z.array(listedModelSchema), 'The models, by name'), default: failure },
});

const listWithheld = createRoute({
  method: 'get',
  path: '/models/withheld',
  summary: 'What nodes offer that may not: nobody else is served by it',
  responses: { 200: json(z.array(withheldModelsSchema), 'By node'), default: failure },
});

const listRoutes = createRoute({
  method: 'get',
  path: '/models/routes',
  summary: 'The owner’s names for models',
  responses: { 200: json(z.array(modelRouteSchema), 'The routes, by name'), default: failure },
});

const setRoute = createRoute({
  method: 'put',
  path: '/models/routes',
  summary: 'Gives a model a name, or that name another model',
  request: { body: jsonBody(modelRouteSetSchema) },
  responses: { 200: json(modelRouteSchema, 'The route'), default: failure },
});

const model = z.object({ model: z.string().min(1).max(512) });

const removeRoute = createRoute({
  method: 'post',
  path: '/models/routes/remove',
  summary: 'Takes a name away',
  request: { body: jsonBody(z.strictObject({ alias: z.string().min(1).max(512) })) },
  responses: { 200: json(modelRouteSchema, 'The former route'), default: failure },
});

const explainRoute = createRoute({
  method: 'get',
  path: '/models/explanation',
  summary: 'Who would be asked for a model now, and why not the others',
  request: { query: model },
  responses: { 200: json(routeExplanationSchema, 'The nodes, the best first'), default: failure },
});

const createKey = createRoute({
  method: 'post',
  path: '/models/keys',
  summary: 'Makes a key for a program that uses models; the answer is the only place where it is shown',
  request: { body: jsonBody(modelKeyCreateSchema) },
  responses: { 200: json(modelKeyCreatedSchema, 'The key'), default: failure },
});

const listKeys = createRoute({
  method: 'get',
  path: '/models/keys',
  summary: 'The keys that are good for something, and what was spent by them',
  responses: { 200: json(z.array(modelKeySchema), 'The keys, by name'), default: failure },
});

const revokeKey = createRoute({
  method: 'post',
  path: '/models/keys/{word}/revoke',
  summary: 'Ends a key: nothing is let in by it any more',
  request: { params: word },
  responses: { 200: json(modelKeySchema, 'The former key'), default: failure },
});

/** How long rows of usage are kept. */
const MAX_DAYS = 400;

const showUsage = createRoute({
  method: 'get',
  path: '/models/usage',
  summary: 'What was used of models, in days of UTC',
  request: {
    query: z.object({
      by: z.enum(USAGE_BY).default('consumer'),
      days: z.coerce.number().int().min(1).max(MAX_DAYS).default(30).describe('Today and those before it'),
    }),
  },
  responses: { 200: json(modelUsageSchema, 'The usage'), default: failure },
});

export interface ModelRoutesOptions {
  readonly models: Models;
  readonly nameOf: (nodeId: string) => string;
  readonly now?: () => number;
}

/** What an operator asks of models: which there are, who may use them, and who did. */
export function modelRoutes({ models, nameOf, now = Date.now }: ModelRoutesOptions): OpenAPIHono<ApiEnvironment> {
  const { router, routes, keys, usage } = models;
  const app = new OpenAPIHono<ApiEnvironment>({ defaultHook: refuseInvalid });
  const by = (context: Context<ApiEnvironment>): string => operatorName(context.get('principal'));

  app.openapi(listModels, (context) => {
    const listed = router.models({ kind: 'operator', name: by(context) });
    return context.json(
      listed.map((one) => listedModelSchema.parse(one)),
      200,
    );
  });
  app.openapi(listWithheld, (context) =>
    context.json(
      models.offers.withheld().map(({ nodeId, models: ids }) => ({ node: nameOf(nodeId), models: [...ids] })),
      200,
    ),
  );
  app.openapi(listRoutes, (context) =>
    context.json(
      routes.list().map((route) => routeView(route, nameOf)),
      200,
    ),
  );
  app.openapi(setRoute, async (context) =>
    context.json(routeView(await routes.set(context.req.valid('json'), by(context)), nameOf), 200),
  );
  app.openapi(removeRoute, async (context) =>
    context.json(routeView(await routes.remove(context.req.valid('json').alias, by(context)), nameOf), 200),
  );
  app.openapi(explainRoute, (context) => {
    const ask = {
      ...{ endpoint: '/v1/chat/completions', model: context.req.valid('query').model, node: null, bytes: 0 },
      ...{ affinity: [], via: [], hops: 0, consumer: { kind: 'operator', name: by(context) } as const },
    };
    return context.json(router.explain(ask), 200);
  });
  app.openapi(createKey, async (context) => {
    const { key, secret } = await keys.create(context.req.valid('json'), by(context));
    return context.json({ ...keyView(key, null, now()), secret }, 200);
  });
  app.openapi(listKeys, (context) =>
    context.json(
      keys.list().map(({ key, spending }) => keyView(key, spending, now())),
      200,
    ),
  );
  app.openapi(revokeKey, async (context) => {
    const { key, spending } = await keys.revoke(context.req.valid('param').word, by(context));
    return context.json(keyView(key, spending, now()), 200);
  });
  app.openapi(showUsage, async (context) => {
    const { by: of, days } = context.req.valid('query');
    return context.json(await usage.usage(of, dayOf(now() - (days - 1) * 86_400_000)), 200);
  });
  return app;
}

const showMetrics = createRoute({
  method: 'get',
  path: '/metrics',
  summary: 'Figures of the model proxy and of handoffs, as Prometheus reads them',
  responses: {
    200: { description: 'The figures', content: { 'text/plain': { schema: z.string() } } },
    default: failure,
  },
});

export interface MetricsRouteOptions extends Pick<ModelRoutesOptions, 'models'> {
  readonly handoffs: { readonly metrics: HandoffMetrics };
}

/** For operators, as the rest. */
export function metricsRoute({ models, handoffs }: MetricsRouteOptions): OpenAPIHono<ApiEnvironment> {
  const app = new OpenAPIHono<ApiEnvironment>();
  app.openapi(showMetrics, async (context) => {
    const { metrics } = models;
    context.header('content-type', metrics.contentType);
    return context.text(`${await metrics.text()}\n${await handoffs.metrics.text()}`, 200);
  });
  return app;
}

function routeView({ createdAt, nodes, ...route }: ModelRoute, nameOf: (nodeId: string) => string) {
  return { ...route, nodes: nodes.map(nameOf), createdAt: new Date(createdAt).toISOString() };
}

function keyView(key: ModelKey, spending: Spending | null, now: number) {
  const { id, name, models, agents = [], budgets, rpm, createdAt, createdBy, expiresAt } = key;
  const spent = (per: 'day' | 'month' | 'total') =>
    spending === null ? { tokens: 0, requests: 0 } : { ...spentIn(spending, per, now) };
  return {
    ...{
      id,
      name,
      models: [...models],
      agents: [...agents],
      budgets: budgets.map((budget) => ({ ...budget })),
      rpm,
      createdBy,
    },
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    spent: { day: spent('day'), month: spent('month'), total: spent('total') },
  };
}

import { z } from 'zod';
import type { ListedModel, OfferedModel } from '#src/core/models/catalog.ts';
import { MODEL_APIS, MODEL_INPUTS } from '#src/core/models/catalog.ts';
import { isLabelKey, isLabelValue, MAX_LABELS } from '#src/core/label.ts';
import { isModelId, isUpstreamName } from '#src/core/models/name.ts';
import { oneLine } from '#src/protocol/one-line.ts';

/** Headers of the model proxy. None of them reaches an upstream. */
export const MODEL_HEADERS = {
  /** Asked: the node that is to serve, `node` or `node/upstream`; answered: the node that did. */
  node: 'x-federation-node',
  /** Answered: the model as that node offers it. */
  model: 'x-federation-model',
  /** Answered: how many nodes were tried. */
  attempts: 'x-federation-attempts',
  /** Asked: what belongs together and is best served by one node. */
  session: 'x-federation-session',
  /** Hubs that a request has passed. */
  hops: 'x-federation-hops',
  /** Ids of the nodes that a request has passed, with commas between them. */
  via: 'x-federation-via',
} as const;

/** On the link, where a node serves its upstreams: `/models/{upstream}/v1/…`. */
export const MODELS_PATH = '/models/';
/** On the link: the answer is the node's own, and says why there is none of the upstream. */
export const FAILURE_HEADER = 'x-federation-failure';
/** `connect`: it took no request, or broke off without an answer; `first-byte`: no answer in time; `gone`: it is not shared any more. */
export const MODEL_FAILURES = ['connect', 'first-byte', 'gone'] as const;
export type ModelFailure = (typeof MODEL_FAILURES)[number];
/** On the link: milliseconds that the node waited for a connection to its upstream. */
export const CONNECT_HEADER = 'x-federation-connect';
/** On the link: a trailer behind an answer without a length, which proves that it was not cut. */
export const WHOLE_HEADER = 'x-federation-whole';

/** Route of our plugin in a node’s OpenClaw gateway, which asks OpenClaw’s providers; its `/models` lists theirs. */
export const OPENCLAW_MODELS_PATH = '/federation/models/v1';

/** Models that one node may offer. */
export const MAX_OFFERED_MODELS = 1000;
/** Bytes of an offer. */
export const MAX_OFFER_BYTES = 2 << 20;
/** Requests that one upstream may be given at once. */
export const MAX_CONCURRENCY = 1024;

const tokens = z.int().min(1).max(1_000_000_000);
const dollars = z.number().min(0).max(1_000_000);
const modelId = z.string().refine(isModelId, 'a model is 1 to 200 of A-Z, a-z, 0-9 and @~/_.:+=,-');
const facts = {
  endpoints: z
    .array(z.string().regex(/^\/v1(?:\/[a-z0-9_-]{1,32}){1,4}$/))
    .max(32)
    .optional(),
  contextWindow: tokens.optional(),
  maxTokens: tokens.optional(),
  cost: z.object({ input: dollars, output: dollars, cacheRead: dollars, cacheWrite: dollars }).optional(),
  reasoning: z.boolean().optional(),
  input: z.array(z.enum(MODEL_INPUTS)).max(MODEL_INPUTS.length).optional(),
  description: z.string().max(2000).transform(oneLine).optional(),
};

/** One model of an offer. Unknown fields are left out, so that a newer build may say more. */
const offeredModelSchema = z.object({
  id: modelId,
  upstream: z.string().refine(isUpstreamName, 'an upstream is 1 to 63 of a-z, 0-9 and ._-'),
  name: z
    .string()
    .min(1)
    .max(512)
    .refine((text) => !/\p{Cc}/u.test(text), 'must be one line'),
  api: z.enum(MODEL_APIS),
  ...facts,
  concurrency: z.int().min(1).max(MAX_CONCURRENCY),
  loaded: z.boolean().nullable().optional(),
}) satisfies z.ZodType<OfferedModel>;

/** All that a node shares, in the place of what it offered before: PUT /api/v1/node/models. */
export const offerSchema = z.object({
  models: z
    .array(offeredModelSchema)
    .max(MAX_OFFERED_MODELS)
    .refine((models) => new Set(models.map(keyOf)).size === models.length, 'a model is offered twice by one upstream'),
  problems: z
    .array(z.string().max(4000).transform(oneLine))
    .max(65)
    .optional()
    .describe('What is wrong with its models.yaml, and with servers that stand there'),
});
export type ModelOffer = z.infer<typeof offerSchema>;

export const offerTakenSchema = z.object({
  models: z.int().describe('How many are offered now'),
  allowed: z.boolean().default(true).describe('Whether others may be served by them'),
});

/** What a node offers that may not. */
export const withheldModelsSchema = z.object({ node: z.string(), models: z.array(z.string()) });
export type WithheldModels = z.infer<typeof withheldModelsSchema>;

export const listedModelSchema = z.object({
  id: z.string().describe('What a client writes'),
  kind: z.enum(['model', 'pinned', 'route']).describe('Of any node, of one node, or a name that the owner gave'),
  model: z.string().describe('As the nodes offer it'),
  nodes: z.array(z.string()).describe('Names of the nodes that have it now'),
  apis: z.array(z.enum(MODEL_APIS)),
  facts: z.object(facts).describe('What holds on every one of the nodes'),
  loaded: z.boolean().nullable().describe('Whether a node has it in memory; null where none tells'),
});
export type ListedModelView = z.infer<typeof listedModelSchema>;

/** An owner’s name for a model: PUT /api/v1/models/routes. */
export const modelRouteSetSchema = z.strictObject({
  alias: modelId,
  model: modelId,
  nodes: z.array(z.string().min(1).max(256)).max(64).default([]).describe('Names or ids; none: every node that has it'),
  labels: z
    .record(z.string().refine(isLabelKey, 'is no label'), z.string().refine(isLabelValue))
    .refine((labels) => Object.keys(labels).length <= MAX_LABELS, 'too many labels')
    .default({}),
});
export type ModelRouteSet = z.input<typeof modelRouteSetSchema>;

export const modelRouteSchema = z.object({
  alias: z.string(),
  model: z.string(),
  nodes: z.array(z.string()).describe('Names'),
  labels: z.record(z.string(), z.string()),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
});
export type ModelRouteView = z.infer<typeof modelRouteSchema>;

export const routeExplanationSchema = z
  .object({
    asked: z.string().nullable(),
    model: z.string().nullable().describe('Behind a route or a pin'),
    route: z.string().nullable().describe('The owner’s name that was meant'),
    candidates: z.array(
      z.object({
        node: z.string(),
        upstream: z.string(),
        model: z.string(),
        verdict: z.enum(['chosen', 'next', 'rejected']),
        reason: z.string().describe('Why it is rejected, or what speaks for and against it'),
        inFlight: z.int(),
        waiting: z.int(),
        concurrency: z.int(),
        firstByteMs: z.number().nullable().describe('Moving mean; null before the first answer'),
        costMs: z.number().nullable().describe('What is compared: less is better; null for who is rejected'),
      }),
    ),
  })
  .describe('Who would be asked now, who else, and who not and why; the best first');
export type RouteExplanation = z.infer<typeof routeExplanationSchema>;

/**
 * The answer of GET /v1/models: what OpenAI’s clients read, and with it what Anthropic’s do. No model has a date of
 * its own here, so that it is that of the epoch.
 */
export function modelList(models: readonly ListedModel[]) {
  return {
    object: 'list' as const,
    data: models.map(modelEntry),
    has_more: false,
    first_id: models[0]?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  };
}

/** What is read of such a list of another; all of an entry is kept. */
export const knownModelsSchema = z.object({ data: z.array(z.looseObject({ id: z.string() })) });
export type KnownModel = z.infer<typeof knownModelsSchema>['data'][number];

/** One entry of it: the answer of GET /v1/models/ID. */
export function modelEntry({ id, kind, nodes, apis, facts: known }: ListedModel) {
  const { contextWindow, maxTokens, cost, reasoning, input, description } = known;
  const endpoints = known.endpoints ?? (apis.includes('openai') ? undefined : ['/v1/messages']);
  return {
    ...{
      id,
      object: 'model' as const,
      created: 0,
      owned_by: kind === 'pinned' ? (nodes[0] ?? 'federation') : 'federation',
    },
    ...{ type: 'model' as const, display_name: id, created_at: '1970-01-01T00:00:00Z' },
    ...(description === undefined ? {} : { description }),
    ...(contextWindow === undefined ? {} : { context_window: contextWindow }),
    ...(maxTokens === undefined ? {} : { max_output_tokens: maxTokens }),
    ...(cost === undefined ? {} : { cost }),
    ...(endpoints === undefined ? {} : { endpoints }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(input === undefined ? {} : { input_modalities: input }),
  };
}

function keyOf({ upstream, id }: { readonly upstream: string; readonly id: string }): string {
  return `${upstream}\n${id}`;
}

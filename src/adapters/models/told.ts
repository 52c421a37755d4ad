import { z } from 'zod';
import type { ToldModel } from '#src/core/models/offer.ts';

/** What servers tell beside what OpenAI's list has; whatever is of another shape than this is as if it were not told. */
const count = z.number().int().min(1).max(1_000_000_000).optional().catch(undefined);
const word = z.string().max(512).optional().catch(undefined);
/** For a million tokens. */
const dollars = z.number().min(0).max(1_000_000);
/** Dollars for one token, in a text. */
const price = z.coerce.number().min(0).max(1).optional().catch(undefined);

const entrySchema = z.object({
  id: z.string().min(1).max(512),
  owned_by: word,
  // vLLM, SGLang
  max_model_len: count,
  // OpenRouter
  context_length: count,
  top_provider: z.object({ max_completion_tokens: count }).optional().catch(undefined),
  pricing: z
    .object({ prompt: price, completion: price, input_cache_read: price, input_cache_write: price })
    .optional()
    .catch(undefined),
  architecture: z
    .object({ input_modalities: z.array(z.string()).max(32).optional().catch(undefined) })
    .optional()
    .catch(undefined),
  supported_parameters: z.array(z.string()).max(256).optional().catch(undefined),
  // llama.cpp
  meta: z.object({ n_ctx: count, n_ctx_train: count }).nullish().catch(undefined),
  status: z.object({ value: word }).optional().catch(undefined),
  // LM Studio, under /api/v0
  type: word,
  state: word,
  max_context_length: count,
  loaded_context_length: count,
  // Anthropic
  max_input_tokens: count,
  max_tokens: count,
  // A hub of ours, and our plugin in OpenClaw
  endpoints: z
    .array(z.string().regex(/^\/v1(?:\/[a-z0-9_-]{1,32}){1,4}$/))
    .max(32)
    .optional()
    .catch(undefined),
  cost: z
    .object({ input: dollars, output: dollars, cacheRead: dollars, cacheWrite: dollars })
    .optional()
    .catch(undefined),
  context_window: count,
  max_output_tokens: count,
  reasoning: z.boolean().optional().catch(undefined),
  input_modalities: z.array(z.string()).max(32).optional().catch(undefined),
});

const listSchema = z.object({ data: z.array(z.unknown()).max(20_000) });

/** Whose server a list comes from, where that tells more elsewhere. */
export type Family = 'ollama' | 'lm-studio' | null;

export interface ToldList {
  readonly models: readonly ToldModel[];
  readonly family: Family;
}

/** Reads the answer of GET /v1/models; null where it is none. Entries that say no name are left out. */
export function readModelList(value: unknown): ToldList | null {
  const list = listSchema.safeParse(value);
  if (!list.success) return null;
  const entries = list.data.data.flatMap((entry) => {
    const one = entrySchema.safeParse(entry);
    return one.success ? [one.data] : [];
  });
  return { models: entries.map(toldOf), family: familyOf(entries[0]?.owned_by) };
}

/** What its maker is called in the list, by Ollama 0.12 and LM Studio 0.3. */
function familyOf(owner: string | undefined): Family {
  if (owner === 'library') return 'ollama';
  return owner === 'organization_owner' ? 'lm-studio' : null;
}

function toldOf(entry: z.infer<typeof entrySchema>): ToldModel {
  const { pricing, architecture, status, state } = entry;
  const contextWindow =
    entry.loaded_context_length ??
    entry.max_model_len ??
    entry.meta?.n_ctx ??
    entry.meta?.n_ctx_train ??
    entry.context_length ??
    entry.max_context_length ??
    entry.context_window ??
    entry.max_input_tokens;
  const maxTokens = entry.top_provider?.max_completion_tokens ?? entry.max_output_tokens ?? entry.max_tokens;
  const modalities =
    architecture?.input_modalities ?? entry.input_modalities ?? (entry.type === 'vlm' ? ['image'] : []);
  const reasoning = entry.reasoning ?? (entry.supported_parameters?.includes('reasoning') || undefined);
  return {
    name: entry.id,
    ...(contextWindow === undefined ? {} : { contextWindow }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(modalities.length === 0 ? {} : { input: inputOf(modalities) }),
    ...endpointsOf(entry),
    ...(entry.cost === undefined ? {} : { cost: entry.cost }),
    ...(pricing?.prompt === undefined || pricing.completion === undefined ? {} : { cost: costOf(pricing) }),
    loaded: loadedOf(state ?? status?.value),
  };
}

function endpointsOf({ type, endpoints }: z.infer<typeof entrySchema>): Pick<ToldModel, 'endpoints'> {
  if (type === 'embeddings') return { endpoints: ['/v1/embeddings'] };
  return endpoints === undefined ? {} : { endpoints };
}

function inputOf(modalities: readonly string[]): ('text' | 'image')[] {
  return modalities.includes('image') ? ['text', 'image'] : ['text'];
}

function costOf(pricing: {
  prompt?: number;
  completion?: number;
  input_cache_read?: number;
  input_cache_write?: number;
}) {
  const perMillion = (dollars: number | undefined) => Math.round((dollars ?? 0) * 1e12) / 1e6;
  return {
    input: perMillion(pricing.prompt),
    output: perMillion(pricing.completion),
    cacheRead: perMillion(pricing.input_cache_read),
    cacheWrite: perMillion(pricing.input_cache_write),
  };
}

function loadedOf(state: string | undefined): boolean | null {
  if (state === undefined) return null;
  if (state === 'loaded') return true;
  return ['not-loaded', 'unloaded', 'loading', 'sleeping'].includes(state) ? false : null;
}

const runningSchema = z.object({
  models: z.array(z.object({ model: word, name: word, context_length: count })).max(1000),
});

/** Ollama's answer of GET /api/ps: what is in memory now, with the context that it was loaded with. Null where it is none. */
export function readRunning(value: unknown): ReadonlyMap<string, number | undefined> | null {
  const running = runningSchema.safeParse(value);
  if (!running.success) return null;
  return new Map(
    running.data.models.flatMap(({ model, name, context_length: context }) =>
      [model, name].flatMap((one) => (one === undefined ? [] : [[one, context] as const])),
    ),
  );
}

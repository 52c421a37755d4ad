import type { ModelFacts } from '#src/core/models/catalog.ts';

/** What OpenClaw calls the models of the federation: `/model federation/MODEL`. */
export const OPENCLAW_PROVIDER = 'federation';

/** Where OpenClaw’s settings hold what this node’s OpenClaw uses the models of all by, by dotted path. */
const PROVIDER_PATH = `models.providers.${OPENCLAW_PROVIDER}`;
const PROVIDER_KEY_PATH = `secrets.providers.${OPENCLAW_PROVIDER}`;

/**
 * What OpenClaw’s settings must say, so that it uses the model proxy. The key stays in its file: OpenClaw reads it from
 * there, and nothing of it is in its settings.
 */
export function providerSettings({ port, keyFile }: { readonly port: number; readonly keyFile: string }) {
  return {
    [`${PROVIDER_PATH}.baseUrl`]: `http://127.0.0.1:${port}/v1`,
    [`${PROVIDER_PATH}.api`]: 'openai-completions',
    [`${PROVIDER_PATH}.apiKey`]: { source: 'file', provider: OPENCLAW_PROVIDER, id: 'value' },
    [PROVIDER_KEY_PATH]: { source: 'file', path: keyFile, mode: 'singleValue' },
  };
}

/**
 * What they say where the person has not said it otherwise. A model that is not listed may be used all the same, so that
 * none has to be: a list would be old with the next model.
 */
export const PROVIDER_DEFAULTS: Readonly<Record<string, unknown>> = {
  'models.mode': 'merge',
  [`${PROVIDER_PATH}.models`]: [],
};

/** A model as OpenClaw wants to know it. */
export interface OpenClawModel {
  readonly id: string;
  readonly name: string;
  readonly reasoning: boolean;
  readonly input: ('text' | 'image')[];
  /** Dollars for a million tokens. */
  readonly cost: {
    readonly input: number;
    readonly output: number;
    readonly cacheRead: number;
    readonly cacheWrite: number;
  };
  readonly contextWindow: number;
  readonly maxTokens: number;
}

const FREE = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
const CONTEXT_WINDOW = 128_000;
const MAX_TOKENS = 4096;

/** With what is known of it, and what OpenClaw has to be told where nothing is. */
export function openclawModel(id: string, known: ModelFacts): OpenClawModel {
  const contextWindow = known.contextWindow ?? CONTEXT_WINDOW;
  return {
    id,
    name: known.description ?? id,
    reasoning: known.reasoning ?? false,
    input: [...(known.input ?? ['text'])],
    cost: known.cost ?? FREE,
    contextWindow,
    maxTokens: known.maxTokens ?? Math.min(MAX_TOKENS, contextWindow),
  };
}

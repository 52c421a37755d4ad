import { z } from 'zod';
import type { ModelApi } from '#src/core/models/catalog.ts';
import { OPENCLAW_PROVIDER } from '#src/core/models/openclaw-provider.ts';
import { OPENCLAW_MODELS_PATH } from '#src/protocol/models.ts';

/** A provider of this node’s OpenClaw, which the federation may use by it. */
export interface SharedProvider {
  readonly id: string;
  readonly api: ModelApi;
  /** Stands for our `/v1`, without a slash at its end. */
  readonly baseUrl: string;
  /** Paths that it answers; null: whatever servers of that API do. */
  readonly endpoints: readonly string[] | null;
  /** How it wants its key; null: not at all. */
  readonly keyAs: 'bearer' | 'x-api-key' | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly models: readonly SharedModel[];
}

export interface SharedModel {
  readonly id: string;
  readonly name?: string | undefined;
  readonly reasoning?: boolean | undefined;
  readonly input?: readonly string[] | undefined;
  readonly cost?: z.output<typeof costSchema> | undefined;
  readonly contextWindow?: number | undefined;
  readonly maxTokens?: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ProviderNotShared {
  readonly id: string;
  /** One sentence without its subject: “speaks google-generative-ai”. */
  readonly reason: string;
}

export interface Providers {
  readonly shared: readonly SharedProvider[];
  readonly notShared: readonly ProviderNotShared[];
}

const dollars = z.number().min(0).max(1_000_000).optional().default(0);
const costSchema = z.object({ input: dollars, output: dollars, cacheRead: dollars, cacheWrite: dollars });
const tokens = z.number().int().min(1).max(1_000_000_000).optional().catch(undefined);
const modelSchema = z.object({
  id: z.string().min(1).max(512),
  name: z.string().optional().catch(undefined),
  api: z.string().optional(),
  baseUrl: z.string().optional(),
  reasoning: z.boolean().optional().catch(undefined),
  input: z.array(z.string()).optional().catch(undefined),
  cost: costSchema.optional().catch(undefined),
  contextWindow: tokens,
  maxTokens: tokens,
  headers: z.record(z.string(), z.string()).default({}),
});
const providerSchema = z.object({
  baseUrl: z.string().optional(),
  api: z.string().default('openai-completions'),
  auth: z.string().optional(),
  authHeader: z.boolean().optional(),
  headers: z.record(z.string(), z.unknown()).default({}),
  request: z.record(z.string(), z.unknown()).optional(),
  localService: z.unknown().optional(),
  models: z.array(z.unknown()).default([]),
});
type Configured = z.output<typeof providerSchema>;

const configSchema = z.object({
  models: z.object({ providers: z.record(z.string(), z.unknown()).default({}) }).default({ providers: {} }),
});

/** What OpenClaw has configured, and what of it the federation can’t use and why. */
export function providersIn(config: unknown): Providers {
  const read = configSchema.safeParse(config);
  const entries = Object.entries(read.success ? read.data.models.providers : {});
  const ownOrigin = originOf(entries.find(([id]) => id === OPENCLAW_PROVIDER)?.[1]);
  const shared: SharedProvider[] = [];
  const notShared: ProviderNotShared[] = [];
  for (const [id, entry] of entries) {
    const one = providerSchema.safeParse(entry);
    const found = one.success ? providerOf(id, one.data, ownOrigin) : 'is written in a way that is not known here';
    if (typeof found === 'string') notShared.push({ id, reason: found });
    else shared.push(found);
  }
  return { shared, notShared };
}

const LANGUAGES: Readonly<Record<string, { readonly api: ModelApi; readonly endpoints: readonly string[] | null }>> = {
  'openai-completions': { api: 'openai', endpoints: null },
  'openai-responses': { api: 'openai', endpoints: ['/v1/responses'] },
  'anthropic-messages': { api: 'anthropic', endpoints: ['/v1/messages'] },
};
/** Credentials that are more than a key: they are exchanged, renewed or signed with. */
const LOGINS: ReadonlySet<string> = new Set(['oauth', 'aws-sdk']);

/** The provider, or why there is none. */
function providerOf(id: string, configured: Configured, ownOrigin: string | null): SharedProvider | string {
  const { api, auth, authHeader, request, localService } = configured;
  if (id === OPENCLAW_PROVIDER) return 'is the federation itself';
  const language = LANGUAGES[api];
  if (language === undefined) return `speaks ${api}, which is not carried`;
  if (auth !== undefined && LOGINS.has(auth)) return `uses a login (${auth}), and not a key`;
  if (request !== undefined) return 'has its requests changed by `request`';
  if (localService !== undefined) return 'has a server that OpenClaw starts for itself';
  const headers = textsOf(configured.headers);
  if (headers === null) return 'has headers that are not there as texts';
  const url = urlOf(configured.baseUrl);
  if (url === null) return 'has no base URL in OpenClaw’s settings';
  if (url.origin === ownOrigin || url.pathname.startsWith(OPENCLAW_MODELS_PATH)) return 'leads back to the federation';
  const path = url.pathname.replace(/\/+$/, '');
  const bearer = language.api === 'openai' ? authHeader !== false : authHeader === true;
  return {
    id,
    api: language.api,
    // Anthropic’s clients add `/v1` themselves.
    baseUrl: `${url.origin}${language.api === 'anthropic' && !path.endsWith('/v1') ? `${path}/v1` : path}`,
    endpoints: language.endpoints,
    keyAs: bearer ? 'bearer' : language.api === 'anthropic' ? 'x-api-key' : null,
    headers,
    models: configured.models.flatMap((entry) => {
      const model = modelSchema.safeParse(entry);
      // One with a server or a language of its own would need a provider of its own.
      if (!model.success || (model.data.api ?? api) !== api || model.data.baseUrl !== undefined) return [];
      return [model.data];
    }),
  };
}

function textsOf(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> | null {
  const entries = Object.entries(headers);
  const areTexts = entries.every(([, value]) => typeof value === 'string' && !/^\$|\$\{/.test(value));
  return areTexts ? (Object.fromEntries(entries) as Record<string, string>) : null;
}

function originOf(provider: unknown): string | null {
  const { data } = z.object({ baseUrl: z.string() }).safeParse(provider);
  return urlOf(data?.baseUrl)?.origin ?? null;
}

function urlOf(text: string | undefined): URL | null {
  const url = text === undefined ? null : URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : null;
}

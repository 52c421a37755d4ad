import { z } from 'zod';
import { MODEL_APIS, MODEL_INPUTS } from '#src/core/models/catalog.ts';
import { readBaseUrl } from '#src/core/models/base-url.ts';
import { isModelId, isUpstreamName } from '#src/core/models/name.ts';

/** File in a worker's home that says which models it shares. */
export const MODELS_FILE = 'models.yaml';
/** Of the model proxy, where it is not set and nobody else has it. */
export const USUAL_MODELS_PORT = 19_001;
/** File there with the key of this node’s model proxy: what programs of this machine show it. */
export const MODELS_KEY_FILE = 'models.key';
/** File there with what the worker daemon shows the plugin in this node’s OpenClaw gateway. */
export const OPENCLAW_MODELS_KEY_FILE = 'openclaw-models.key';

const MAX_UPSTREAMS = 64;
const MAX_LISTED = 1000;
const MAX_PATTERNS = 256;

const seconds = (min: number, max: number) => z.number().min(min).max(max);
const tokens = z.int().min(1).max(1_000_000_000);
const dollars = z.number().min(0).max(1_000_000);
const upstreamName = z.string().refine(isUpstreamName, 'a name is 1 to 63 of a-z, 0-9 and ._-, as ollama');
const modelId = z.string().refine(isModelId, 'a model is 1 to 200 of A-Z, a-z, 0-9 and @~/_.:+=,-');
const nameThere = z
  .string()
  .min(1)
  .max(512)
  .refine((text) => !/\p{Cc}/u.test(text), 'a name is one line');
const pattern = z.string().min(1).max(256);

const baseUrl = z.string().transform((text, context) => {
  const read = readBaseUrl(text);
  if (read.ok) return read.url;
  context.addIssue({ code: 'custom', message: read.problem });
  return z.NEVER;
});

const facts = {
  contextWindow: tokens.optional().describe('Tokens that it takes at most'),
  maxTokens: tokens.optional().describe('Tokens that it answers with at most'),
  cost: z
    .strictObject({
      input: dollars,
      output: dollars,
      cacheRead: dollars.default(0),
      cacheWrite: dollars.default(0),
    })
    .optional()
    .describe('Dollars for a million tokens'),
  reasoning: z.boolean().optional(),
  input: z.array(z.enum(MODEL_INPUTS)).min(1).max(MODEL_INPUTS.length).optional(),
  description: z.string().max(500).optional(),
  endpoints: z
    .array(z.string().regex(/^\/v1(?:\/[a-z0-9_-]{1,32}){1,4}$/, 'an endpoint is a path, as /v1/chat/completions'))
    .max(32)
    .optional(),
};

const fullModelSchema = z.strictObject({
  name: nameThere.describe('What its server calls it'),
  as: modelId.optional().describe('What it is called in the federation, where that is something else'),
  ...facts,
});
export type NamedModel = z.infer<typeof fullModelSchema>;

const namedModelSchema = z.union([nameThere.transform((name): NamedModel => ({ name })), fullModelSchema]);

const timeoutsSchema = z.strictObject({
  connectSeconds: seconds(0.05, 60).default(1.5),
  firstByteSeconds: seconds(0.1, 3600).default(300).describe('A model that is loaded first takes its time'),
  idleSeconds: seconds(0.1, 3600).default(120).describe('Between two pieces of an answer'),
  totalSeconds: seconds(1, 86_400).optional().describe('Of a whole answer; without it, as long as it takes'),
});

const shared = {
  name: upstreamName.describe('What this server is called on this node'),
  models: z
    .union([z.literal('ask'), z.array(namedModelSchema).min(1).max(MAX_LISTED)], {
      error: 'write models: ask, or a list of names',
    })
    .default('ask'),
  only: z.array(pattern).max(MAX_PATTERNS).default(['*']).describe('Of what the server has: these names, `*` for any'),
  except: z.array(pattern).max(MAX_PATTERNS).default([]).describe('And of those not these'),
  askEverySeconds: seconds(1, 86_400).default(60),
  concurrency: z.int().min(1).max(1024).default(8).describe('Requests that it works on at once; others wait'),
  timeouts: timeoutsSchema.prefault({}),
};

const serverSchema = z
  .strictObject({
    ...shared,
    api: z.enum(MODEL_APIS).default('openai'),
    baseUrl,
    keyFile: z.string().min(1).max(4096).optional(),
    keyEnvironment: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'the name of a variable, as OPENROUTER_API_KEY')
      .optional(),
  })
  .refine(({ keyFile, keyEnvironment }) => keyFile === undefined || keyEnvironment === undefined, {
    path: ['keyEnvironment'],
    message: 'a key comes from keyFile or from keyEnvironment, not from both',
  });

/** What this node's OpenClaw has configured: its gateway asks its providers, and no key leaves it. */
const openclawSchema = z.strictObject({ ...shared, source: z.literal('openclaw') });

/** A model server that this node shares, as it stands in models.yaml. */
export type SharedServer = z.infer<typeof serverSchema>;
export type SharedOpenClaw = z.infer<typeof openclawSchema>;
export type SharedUpstream = SharedServer | SharedOpenClaw;

const fileSchema = z
  .strictObject({
    upstreams: z
      .array(z.unknown())
      .max(MAX_UPSTREAMS)
      .nullable()
      .default([])
      .transform((list) => list ?? []),
  })
  .nullable();

export type SharesResult =
  | { readonly ok: true; readonly upstreams: readonly SharedUpstream[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** What models.yaml holds. Problems name the place and the upstream: `upstreams.0.baseUrl (ollama): not a URL`. */
export function readShares(file: unknown): SharesResult {
  const read = fileSchema.safeParse(file ?? null);
  if (!read.success) return { ok: false, problems: read.error.issues.flatMap((issue) => problemsOf(issue, [], null)) };
  const upstreams: SharedUpstream[] = [];
  const problems: string[] = [];
  for (const [at, entry] of (read.data?.upstreams ?? []).entries()) {
    const schema = isRecord(entry) && Object.hasOwn(entry, 'source') ? openclawSchema : serverSchema;
    const one = schema.safeParse(entry);
    const name = isRecord(entry) && typeof entry['name'] === 'string' ? entry['name'] : null;
    if (!one.success) {
      problems.push(...one.error.issues.flatMap((issue) => problemsOf(issue, ['upstreams', at], name)));
    } else if (upstreams.some((other) => other.name === one.data.name)) {
      problems.push(`upstreams.${at}.name: ${one.data.name} is the name of another one, too`);
    } else upstreams.push(one.data);
  }
  return problems.length === 0 ? { ok: true, upstreams } : { ok: false, problems };
}

/** Keys under which somebody may write a key. */
const SECRET = /^(?:api_?key|key|token|secret|password)$/i;

function problemsOf(issue: z.core.$ZodIssue, place: readonly PropertyKey[], name: string | null): string[] {
  const path = [...place, ...issue.path].map(String);
  const of = name !== null && isUpstreamName(name) ? ` (${name})` : '';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, 8).map((key) => {
      const advice = SECRET.test(key) ? 'a key never stands in this file: name its keyFile' : 'unknown key';
      return `${[...path, shown(key)].join('.')}${of}: ${advice}`;
    });
  }
  return [`${path.join('.') || MODELS_FILE}${of}: ${issue.message}`];
}

/** A key of somebody's file in a line of ours. */
function shown(key: string): string {
  return key.slice(0, 64).replace(/[^\w.-]/g, '?');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { z } from 'zod';
import { DENIED } from '#src/core/file-denials.ts';
import { isDenyPattern, isRoot } from '#src/core/file-policy.ts';
import { isAgentId, isAgentTag } from '#src/core/handoff/agent.ts';
import { isAgentPattern } from '#src/core/handoff/reach.ts';
import { isForeignCard } from '#src/core/handoff/foreign.ts';
import { ROLES } from '#src/core/node.ts';

const port = (fallback: number) => z.int().min(0).max(65_535).default(fallback);
const seconds = (fallback: number) => z.number().positive().max(86_400).default(fallback);
const isAdminName = (text: string) => /^(?:tag:[A-Za-z][A-Za-z0-9-]*|[^\s@]+@[^\s@]+)$/.test(text);
const rules = z.array(z.array(z.string()).min(1)).default([]);
/** A program at a relative path would be another one in another folder. */
const allowRules = rules.refine(
  (list) => list.every(([program = '']) => program.startsWith('/') || !program.includes('/')),
  'a program is a name on PATH or an absolute path',
);

const fileRules = <const Denied extends readonly string[]>(openByDefault: string, denied: Denied) =>
  z
    .strictObject({
      roots: z
        .array(z.string().refine(isRoot, 'a root is absolute or starts with ~'))
        .optional()
        .describe(`Folders that are open; not set: ${openByDefault} in exec mode full, none otherwise`),
      deny: z
        .array(z.string().refine(isDenyPattern, 'a pattern is absolute, starts with ~/, or is one name'))
        .default([])
        .describe(
          'What is never open, also below a root, beside what is denied anyhow: paths or names with `*`, folders by `**`; deny wins',
        ),
      lift: z
        .array(z.enum(denied, 'is none of those that docs/files.md lists'))
        .default([])
        .describe('Of what is denied anyhow, the patterns that are not to be, as docs/files.md writes them'),
    })
    .prefault({});
const toolPatterns = z.array(z.string().min(1)).default([]);

/**
 * Every setting of every process: type, default and meaning. The environment name follows from the path:
 * `worker.exec.mode` is OPENCLAW_FEDERATION_WORKER_EXEC_MODE.
 */
export const settingsSchema = z.strictObject({
  name: z.string().optional().describe('Name of this node; the host name, made to fit, where it is not given'),
  role: z.enum(ROLES).default('worker').describe('What this machine is in the federation'),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least severe level that is logged'),
    })
    .prefault({}),
  hub: z
    .strictObject({
      address: z.string().default('127.0.0.1').describe('Address that the hub listens on'),
      port: port(19_000).describe('Port of the hub; 0 takes a free one'),
      names: z.array(z.string()).default([]).describe('Further names and addresses by which nodes reach this hub'),
      tailnet: z
        .boolean()
        .default(false)
        .describe('Listen on this machine’s tailnet addresses too, as they come and go'),
      pendingMax: z.int().positive().default(1000).describe('Pairing requests that may wait at once'),
      pendingPerSource: z.int().positive().default(64).describe('Pairing requests that may wait from one address'),
      admins: z
        .array(z.string().refine(isAdminName, 'a login of the tailnet, as ann@example.com, or a tag, as tag:ops'))
        .default([])
        .describe('Logins and tags of the tailnet whose machines an operator may log in from; none: nobody may'),
      heartbeatSeconds: seconds(5).describe('Time between two PINGs on a link'),
      broadcastTimeoutSeconds: seconds(60).describe('Time that broadcast gives each node unless told otherwise'),
      approvalSeconds: z
        .number()
        .positive()
        .max(3600)
        .default(120)
        .describe('Time for the owner to allow what somebody wants from a chat, and then to do it'),
      onward: z
        .boolean()
        .default(false)
        .describe('Whether an agent that works on a handoff may hand a part of it on to another machine'),
      a2a: z
        .strictObject({
          enabled: z.boolean().default(false).describe('Whether programs with a key reach agents by the A2A protocol'),
          agents: z
            .array(z.string().refine(isAgentPattern, 'a pattern is node/agent, in which * stands for any part'))
            .default([])
            .describe(
              'Which agents: `node/agent`, `*` any part; a node that is no plain worker only by its name in full',
            ),
        })
        .prefault({}),
    })
    .prefault({}),
  gateway: z
    .strictObject({
      url: z.string().optional().describe('Loopback WebSocket address of the OpenClaw gateway on the master'),
      tokenFile: z.string().optional().describe('File that holds the gateway’s token; it never leaves the master'),
      uid: z
        .int()
        .min(0)
        .optional()
        .describe('Id of the user that the gateway runs as, where that is neither the operator, nor the hub, nor root'),
    })
    .prefault({}),
  tailscale: z
    .strictObject({
      socket: z.string().optional().describe('Socket of tailscaled, where it is not at its usual place'),
    })
    .prefault({}),
  worker: z
    .strictObject({
      hub: z.string().optional().describe('host:port of the hub'),
      exec: z
        .strictObject({
          mode: z.enum(['full', 'allowlist', 'off']).default('full').describe('What may run here at most'),
          allow: allowRules.describe(
            'argv patterns that allowlist mode lets run: literals, `*` any one word (an option too), last `**` any rest',
          ),
          deny: rules.describe('argv patterns that never run; deny wins, but in full mode a shell gets around it'),
        })
        .prefault({}),
      files: z
        .strictObject({
          read: fileRules('~, /tmp and /var/log', DENIED.read),
          write: fileRules('~ and /tmp', DENIED.write),
          maxBytes: z.int().positive().default(268_435_456).describe('Bytes of one read or write'),
        })
        .prefault({}),
      tools: z
        .strictObject({
          allow: toolPatterns.describe(
            'OpenClaw tools of this node’s own gateway, and `node:COMMAND`s of its node host, that others may call; `*` any part',
          ),
          deny: toolPatterns.describe('Those that nobody may call; deny wins'),
          gatewaySettings: z
            .string()
            .optional()
            .describe(
              'openclaw.json of this node’s own gateway, for its port and token; ~/.openclaw/openclaw.json otherwise',
            ),
          maxOutputBytes: z.int().min(1024).max(16_777_216).default(1_048_576).describe('Bytes of one tool’s answer'),
        })
        .prefault({}),
      hubLossSeconds: seconds(30).describe('How long a job outlives the stream that it was asked on'),
      killAfterSeconds: z.number().positive().max(60).default(5).describe('Time between TERM and KILL'),
      journalMaxBytes: z
        .int()
        .min(65_536)
        .default(8_388_608)
        .describe('Size at which the journal drops old invocations'),
      journalDays: z.number().positive().default(7).describe('How long an ended invocation is remembered'),
    })
    .prefault({}),
  nodeHost: z
    .strictObject({
      enabled: z.boolean().default(false).describe('Whether the worker daemon runs OpenClaw’s node host'),
      openclaw: z.string().default('openclaw').describe('The openclaw program: a name on PATH or an absolute path'),
      carrierPort: port(19_002).describe(
        'Loopback port by which the node host reaches the gateway; 0 takes a free one',
      ),
      commands: z
        .array(z.string())
        .default(['system.run', 'system.run.prepare', 'system.which'])
        .describe('Commands that the node host offers to the gateway, at most'),
    })
    .prefault({}),
  models: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('Whether the worker daemon shares what models.yaml names, and lets this node use all models'),
      port: z
        .int()
        .min(0)
        .max(65_535)
        .optional()
        .describe(
          'Loopback port of the model proxy; 0 takes a free one. Unset: 19001, or a free one where that is taken',
        ),
      requireKey: z
        .boolean()
        .default(true)
        .describe(
          'Whether the model proxy wants the key in models.key; without it, every program and user here is let in',
        ),
      openclaw: z
        .string()
        .default('http://127.0.0.1:18789')
        .describe('Address of this node’s own OpenClaw gateway, for `source: openclaw` in models.yaml'),
    })
    .prefault({}),
  handoffs: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Whether agents of this node’s own gateway take handoffs'),
      agents: z
        .array(
          z.strictObject({
            id: z.string().refine(isAgentId, 'is no agent’s id'),
            description: z.string().max(500).default(''),
            tags: z.array(z.string().refine(isAgentTag, 'a tag is a-z, 0-9 and -_.')).max(32).default([]),
            concurrency: z.int().min(1).max(64).default(1),
          }),
        )
        .default([])
        .describe(
          'Agents that take them, each with `id`, `description`, `tags` and `concurrency`; none: all of the gateway',
        ),
      foreign: z
        .array(
          z.strictObject({
            id: z.string().refine(isAgentId, 'is no agent’s id'),
            card: z.string().refine(isForeignCard, 'a card is at an https URL, or at http on loopback'),
            keyFile: z.string().optional(),
            description: z.string().max(500).optional(),
            tags: z.array(z.string().refine(isAgentTag, 'a tag is a-z, 0-9 and -_.')).max(32).default([]),
            concurrency: z.int().min(1).max(64).default(1),
          }),
        )
        .default([])
        .describe(
          'Agents elsewhere that this node speaks for by the A2A protocol: `id`, `card` (its URL), `keyFile`, and as above',
        ),
      queueMax: z.int().min(0).max(1000).default(32).describe('Handoffs that wait for one agent at most'),
      keepMaxBytes: z
        .int()
        .min(1_048_576)
        .default(67_108_864)
        .describe('Bytes that are kept of one handoff’s events and files'),
      keepDays: z.number().positive().default(7).describe('How long a handoff is kept when it is over'),
    })
    .prefault({}),
});

export type Settings = z.infer<typeof settingsSchema>;

export interface SettingInfo {
  readonly path: string;
  readonly environment: string;
  readonly meaning: string;
  readonly fallback: unknown;
}

/** Every setting, in the order of the schema. */
export function describeSettings(): SettingInfo[] {
  return leaves(settingsSchema, []).map(({ path, environment, meaning, fallback }) => ({
    path,
    environment,
    meaning,
    fallback,
  }));
}

function leaves(schema: z.ZodType, path: readonly string[]): (SettingInfo & { readonly schema: z.ZodType })[] {
  const inner = schema instanceof z.ZodPrefault ? (schema.unwrap() as z.ZodType) : schema;
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape).flatMap(([key, value]) => leaves(value as z.ZodType, [...path, key]));
  }
  return [
    {
      path: path.join('.'),
      environment: environmentName(path),
      meaning: schema.description ?? '',
      fallback: schema.safeParse(undefined).data,
      schema,
    },
  ];
}

function environmentName(path: readonly string[]): string {
  const words = path.map((word) => word.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase());
  return ['OPENCLAW_FEDERATION', ...words].join('_');
}

export interface SettingsSources {
  /** Already nested, as the settings are. */
  readonly flags: object;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: unknown;
  /** Reads the text of an environment variable as a value, where the setting is not a text itself. May throw. */
  readonly parseValue: (text: string) => unknown;
}

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Flag before environment before file before default. Problems name the path: `hub.prot: unknown setting`. */
export function resolveSettings({ flags, environment, file, parseValue }: SettingsSources): SettingsResult {
  // By itself first: where the whole file is no mapping, merging would leave nothing of it to be looked at.
  const ownFile = settingsSchema.safeParse(file ?? {});
  if (!ownFile.success) return { ok: false, problems: ownFile.error.issues.flatMap(problemsOf) };
  const fromEnvironment = {};
  for (const { path, environment: name, schema } of leaves(settingsSchema, [])) {
    const text = environment[name];
    if (text === undefined || text === '') continue;
    try {
      put(fromEnvironment, path.split('.'), schema.safeParse(text).success ? text : parseValue(text));
    } catch {
      return { ok: false, problems: [`${path}: ${name} can’t be read`] };
    }
  }
  const parsed = settingsSchema.safeParse(merge(merge(file ?? {}, fromEnvironment), flags));
  if (parsed.success) return { ok: true, settings: parsed.data };
  return { ok: false, problems: parsed.error.issues.flatMap(problemsOf) };
}

function problemsOf(issue: z.core.$ZodIssue): string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => `${[...path, key].join('.')}: unknown setting`);
  }
  return [`${path.join('.') || 'settings'}: ${issue.message}`];
}

function put(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) target[key] = value;
  else put((target[key] ??= {}) as Record<string, unknown>, rest, value);
}

function merge(below: unknown, above: unknown): unknown {
  // Something else where settings should be nested is not covered up: the schema names it.
  if (isRecord(above) && below !== undefined && below !== null && !isRecord(below)) return below;
  if (!isRecord(below) || !isRecord(above)) return above === undefined ? below : above;
  // Without a prototype, so that a key such as __proto__ is a key and nothing more.
  const merged: Record<string, unknown> = Object.assign(Object.create(null) as Record<string, unknown>, below);
  for (const [key, value] of Object.entries(above)) merged[key] = merge(merged[key], value);
  return merged;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

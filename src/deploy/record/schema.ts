import { z } from 'zod';
import { ROLES } from '#src/core/node.ts';
import type { Action } from '#src/deploy/action.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import type { Wanted } from '#src/deploy/wanted.ts';
import { DEFAULTS } from '#src/deploy/wanted.ts';

/** Absolute, in its shortest form, and deep enough that it is no folder of the system itself. */
const path = z.string().regex(/^(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+){2,}$/, 'no path of a deployment');
const mode = z.int().min(0).max(0o7777);
const owner = z.enum(['root', 'person', 'hub']);
const scope = z.enum(['system', 'user']);
const word = z.string().regex(/^[^-\0][^\0]*$/, 'no word of a command');
const argv = z.tuple([word], z.string());
const userName = z.string().regex(/^[a-z_][a-z0-9_-]{0,31}$/i, 'no user name');
const port = z.int().min(0).max(65_535);
const host = z.string().min(1).max(253);
const unitName = z.string().regex(/^[\w@][\w@.\\-]*\.(?:service|socket|path|timer|target)$/, 'no unit name');

const ACTIONS = {
  folder: z.object({ do: z.literal('folder'), path, mode, owner }),
  write: z.object({
    do: z.literal('write'),
    path,
    mode,
    owner,
    text: z.string(),
    secret: z.literal(true).optional(),
  }),
  merge: z.object({
    do: z.literal('merge'),
    path,
    mode,
    owner,
    values: z.record(z.string(), z.unknown()),
    secrets: z.array(z.string()),
  }),
  link: z.object({ do: z.literal('link'), path, target: z.string(), owner }),
  release: z.object({ do: z.literal('release'), path, owner }),
  user: z.object({ do: z.literal('user'), name: userName, home: path }),
  linger: z.object({ do: z.literal('linger'), user: userName }),
  reload: z.object({ do: z.literal('reload'), scope }),
  unit: z.object({
    do: z.literal('unit'),
    unit: z.object({ name: unitName, scope }),
    want: z.object({ enabled: z.boolean(), active: z.boolean() }),
    restart: z.boolean(),
  }),
  run: z.object({
    do: z.literal('run'),
    title: z.string(),
    argv,
    owner,
    environment: z.record(z.string().regex(/^\w+$/), z.string()).optional(),
    undo: argv.nullable(),
    hint: z.string(),
  }),
  tailscale: z.object({ do: z.literal('tailscale'), url: z.string() }),
  tailnet: z.object({
    do: z.literal('tailnet'),
    authKeyFile: z.string().nullable(),
    loginServer: z.string().nullable(),
    hostname: z.string().nullable(),
  }),
  knock: z.object({
    do: z.literal('knock'),
    hub: z.object({ host, port }),
    node: z.object({ name: z.string(), role: z.enum(ROLES) }),
    memberOf: z.string().nullable().default(null),
  }),
  'gateway-ready': z.object({ do: z.literal('gateway-ready'), port }),
  'hub-ready': z.object({ do: z.literal('hub-ready') }),
  'mint-token': z.object({
    do: z.literal('mint-token'),
    path,
    role: z.enum(ROLES),
    name: z.string(),
    by: z.enum(['machine', 'deployer']),
  }),
  token: z.object({ do: z.literal('token'), path }),
  'worker-ready': z.object({
    do: z.literal('worker-ready'),
    nodeHost: z.boolean(),
    approval: z.enum(['given', 'needed']),
  }),
} satisfies { [K in Action['do']]: z.ZodType<Extract<Action, { do: K }>> };

const id = z.int().min(0);
const file = z.object({
  original: z.discriminatedUnion('was', [
    z.object({ was: z.literal('absent') }),
    z.object({ was: z.literal('link'), target: z.string() }),
    z.object({ was: z.literal('file'), backup: path, mode, uid: id, gid: id }),
  ]),
  missing: z.array(path),
  path: path.optional(),
});

/** What each kind keeps of how it was before. */
const BEFORE: { readonly [K in Action['do']]: z.ZodType } = {
  folder: z.discriminatedUnion('was', [
    z.object({ was: z.literal('absent'), missing: z.array(path) }),
    z.object({ was: z.literal('folder'), mode, uid: id, gid: id }),
  ]),
  write: file,
  merge: file,
  link: file,
  release: z.unknown(),
  user: z.object({ existed: z.boolean() }),
  linger: z.object({ lingered: z.boolean() }),
  reload: z.null(),
  unit: z.object({ enabled: z.string(), active: z.boolean() }),
  run: z.null(),
  tailscale: z.object({ absent: z.array(path) }),
  tailnet: z.object({ state: z.string() }),
  knock: z.null(),
  'gateway-ready': z.null(),
  'hub-ready': z.null(),
  'mint-token': z.object({ existed: z.boolean() }),
  token: z.object({ existed: z.boolean() }),
  'worker-ready': z.null(),
};

/** What version 0.1.0 wrote in other words. */
const EARLIER = {
  invite: z
    .object({ do: z.literal('invite'), path, role: z.enum(ROLES), name: z.string(), from: z.enum(['here', 'there']) })
    .transform(
      ({ from, ...same }) => ({ ...same, do: 'mint-token', by: from === 'here' ? 'deployer' : 'machine' }) as const,
    ),
};

const { folder, ...others } = ACTIONS;
const actionSchema: z.ZodType<Action> = z.discriminatedUnion('do', [
  folder,
  ...Object.values(others),
  ...Object.values(EARLIER),
]);

/** What is said in a record of an earlier version not yet, or of a later one not any more, is by default. */
const wantedSchema = z.object({
  role: z.enum(ROLES),
  master: z.object({ host, port }).nullable(),
  scope,
  runAs: z.string().nullable().default(null),
  token: z.enum(['given', 'minted']).nullable().default(null),
  name: z.string().nullable().default(DEFAULTS.name),
  light: z.boolean().default(DEFAULTS.light),
  keepGateway: z.boolean().default(DEFAULTS.keepGateway),
  useModels: z.boolean().default(DEFAULTS.useModels),
  exec: z.enum(['full', 'allowlist', 'off']).nullable().default(DEFAULTS.exec),
  commands: z.array(z.string()).default([...DEFAULTS.commands]),
  port: port.default(DEFAULTS.port),
  telegram: z.array(z.string().regex(/^\d+$/, 'no number of a person')).nullable().default(null),
  openclawVersion: z.string().default(DEFAULTS.openclawVersion),
  tailscale: z
    .object({
      use: z.boolean().default(DEFAULTS.tailscale.use),
      baseUrl: z.string().default(DEFAULTS.tailscale.baseUrl),
      version: z.string().default(DEFAULTS.tailscale.version),
      authKeyFile: z.string().nullable().default(DEFAULTS.tailscale.authKeyFile),
      loginServer: z.string().nullable().default(DEFAULTS.tailscale.loginServer),
    })
    .default(DEFAULTS.tailscale),
}) satisfies z.ZodType<Wanted>;

/** Of any version 1: what it has more than we know is passed over, as long as no change of the machine is among it. */
export const recordSchema: z.ZodType<DeploymentRecord> = z.object({
  version: z.literal(1),
  wanted: wantedSchema,
  state: z.enum(['applying', 'deployed', 'removing', 'kept']),
  entries: z.array(
    z
      .object({
        key: z.string(),
        step: z.string(),
        action: actionSchema,
        before: z.unknown(),
        wrote: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
        state: z.enum(['begun', 'done']),
      })
      .superRefine(({ action, before }, context) => {
        const { error } = BEFORE[action.do].safeParse(before);
        for (const { path: at, message } of error?.issues ?? []) {
          context.addIssue({ code: 'custom', path: ['before', ...at], message });
        }
      }),
  ),
});

const outlineSchema = z.object({
  entries: z.array(z.object({ key: z.string(), action: z.object({ do: z.string() }) })),
});

/** The changes that only a later version knows how to take back, by their keys. */
export function unknownChanges(record: unknown): string[] {
  const entries = outlineSchema.safeParse(record).data?.entries ?? [];
  return entries.filter(({ action }) => !Object.hasOwn({ ...ACTIONS, ...EARLIER }, action.do)).map(({ key }) => key);
}

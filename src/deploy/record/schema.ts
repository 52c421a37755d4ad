import { z } from 'zod';
import { ROLES } from '#src/core/node.ts';
import type { Action } from '#src/deploy/action.ts';
import type { DeploymentRecord } from '#src/deploy/record/record.ts';
import type { Wanted } from '#src/deploy/wanted.ts';

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
const unitName = z.string().regex(/^[\w@][\w@.\\-]*\.(?:service|socket|timer|target)$/, 'no unit name');

const ACTIONS = {
  folder: z.strictObject({ do: z.literal('folder'), path, mode, owner }),
  write: z.strictObject({
    do: z.literal('write'),
    path,
    mode,
    owner,
    text: z.string(),
    secret: z.literal(true).optional(),
  }),
  merge: z.strictObject({
    do: z.literal('merge'),
    path,
    mode,
    owner,
    values: z.record(z.string(), z.unknown()),
    secrets: z.array(z.string()),
  }),
  link: z.strictObject({ do: z.literal('link'), path, target: z.string(), owner }),
  release: z.strictObject({ do: z.literal('release'), path, owner }),
  user: z.strictObject({ do: z.literal('user'), name: userName, home: path }),
  linger: z.strictObject({ do: z.literal('linger'), user: userName }),
  reload: z.strictObject({ do: z.literal('reload'), scope }),
  unit: z.strictObject({
    do: z.literal('unit'),
    unit: z.strictObject({ name: unitName, scope }),
    want: z.strictObject({ enabled: z.boolean(), active: z.boolean() }),
    restart: z.boolean(),
  }),
  run: z.strictObject({
    do: z.literal('run'),
    title: z.string(),
    argv,
    owner,
    environment: z.record(z.string().regex(/^\w+$/), z.string()).optional(),
    undo: argv.nullable(),
    hint: z.string(),
  }),
  tailscale: z.strictObject({ do: z.literal('tailscale'), url: z.string() }),
  tailnet: z.strictObject({
    do: z.literal('tailnet'),
    authKeyFile: z.string().nullable(),
    loginServer: z.string().nullable(),
    hostname: z.string().nullable(),
  }),
  knock: z.strictObject({
    do: z.literal('knock'),
    hub: z.strictObject({ host, port }),
    node: z.strictObject({ name: z.string(), role: z.enum(ROLES) }),
  }),
  'gateway-ready': z.strictObject({ do: z.literal('gateway-ready'), port }),
  'hub-ready': z.strictObject({ do: z.literal('hub-ready') }),
  invite: z.strictObject({
    do: z.literal('invite'),
    path,
    role: z.enum(ROLES),
    name: z.string(),
    from: z.enum(['here', 'there']),
  }),
  token: z.strictObject({ do: z.literal('token'), path }),
  'worker-ready': z.strictObject({
    do: z.literal('worker-ready'),
    nodeHost: z.boolean(),
    approval: z.enum(['given', 'needed']),
  }),
} satisfies { [K in Action['do']]: z.ZodType<Extract<Action, { do: K }>> };

const id = z.int().min(0);
const file = z.strictObject({
  original: z.discriminatedUnion('was', [
    z.strictObject({ was: z.literal('absent') }),
    z.strictObject({ was: z.literal('link'), target: z.string() }),
    z.strictObject({ was: z.literal('file'), backup: path, mode, uid: id, gid: id }),
  ]),
  missing: z.array(path),
});

/** What each kind keeps of how it was before. */
const BEFORE: { readonly [K in Action['do']]: z.ZodType } = {
  folder: z.discriminatedUnion('was', [
    z.strictObject({ was: z.literal('absent'), missing: z.array(path) }),
    z.strictObject({ was: z.literal('folder'), mode, uid: id, gid: id }),
  ]),
  write: file,
  merge: file,
  link: file,
  release: z.unknown(),
  user: z.strictObject({ existed: z.boolean() }),
  linger: z.strictObject({ lingered: z.boolean() }),
  reload: z.null(),
  unit: z.strictObject({ enabled: z.string(), active: z.boolean() }),
  run: z.null(),
  tailscale: z.strictObject({ absent: z.array(path) }),
  tailnet: z.strictObject({ state: z.string() }),
  knock: z.null(),
  'gateway-ready': z.null(),
  'hub-ready': z.null(),
  invite: z.strictObject({ existed: z.boolean() }),
  token: z.strictObject({ existed: z.boolean() }),
  'worker-ready': z.null(),
};

const { folder, ...others } = ACTIONS;
const actionSchema: z.ZodType<Action> = z.discriminatedUnion('do', [folder, ...Object.values(others)]);

const wantedSchema = z.strictObject({
  role: z.enum(ROLES),
  master: z.strictObject({ host, port }).nullable(),
  name: z.string().nullable(),
  scope,
  runAs: z.string().nullable(),
  token: z.enum(['given', 'minted']).nullable(),
  light: z.boolean(),
  keepGateway: z.boolean(),
  exec: z.enum(['full', 'allowlist', 'off']),
  commands: z.array(z.string()),
  port,
  openclawVersion: z.string(),
  tailscale: z.strictObject({
    use: z.boolean(),
    baseUrl: z.string(),
    version: z.string(),
    authKeyFile: z.string().nullable(),
    loginServer: z.string().nullable(),
  }),
  foreground: z.boolean(),
}) satisfies z.ZodType<Wanted>;

export const recordSchema: z.ZodType<DeploymentRecord> = z.strictObject({
  version: z.literal(1),
  wanted: wantedSchema,
  state: z.enum(['applying', 'deployed', 'removing']),
  entries: z.array(
    z
      .strictObject({
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

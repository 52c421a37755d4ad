import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import { z } from 'zod';

/**
 * What a stranger's request may hold, before anything is made of it. What it does not name is dropped: the same field by
 * another spelling, and what other servers may make something of.
 */
const MAX_PARTS = 100;
/** It goes back with every event of a stream. */
const MAX_REQUEST_ID = 200;

export const envelopeSchema = z.object({
  jsonrpc: z.unknown().optional(),
  id: z.union([z.string().max(MAX_REQUEST_ID), z.int(), z.null()]).optional(),
  method: z.string().max(64),
  params: z.unknown().optional(),
});
export type Envelope = z.infer<typeof envelopeSchema>;

const id = z.string().regex(/^[\x21-\x7e]{1,128}$/, 'is 1 to 128 printable characters without blanks');
/** As the SDK's own client writes what is not given. */
const noId = z.literal('');
const milliseconds = z.int().positive().max(2_147_483_647);

const CONTENTS = ['text', 'raw', 'url', 'data'] as const;
const part = z
  .object({
    text: z.string().optional(),
    raw: z.base64().optional(),
    url: z.string().optional(),
    data: z.unknown().optional(),
    filename: z.string().max(1000).optional(),
    mediaType: z.string().max(1000).optional(),
  })
  .refine(
    (given) => CONTENTS.filter((content) => given[content] !== undefined).length === 1,
    'a part is one of text, raw, url and data',
  );

/** What a message says of a handoff, in its metadata under the extension's URI. */
export const handoffTermsSchema = z.strictObject({
  deadline: z.iso.datetime({ offset: true }).optional(),
  idleTimeoutMs: milliseconds.optional(),
  queueTimeoutMs: milliseconds.optional(),
  rerunnable: z.boolean().optional(),
  cancelOnDisconnect: z.boolean().optional(),
});

const message = z.object({
  messageId: id,
  contextId: id.or(noId).optional(),
  taskId: id.or(noId).optional(),
  role: z.enum(['ROLE_USER']),
  parts: z.array(part).min(1).max(MAX_PARTS),
  metadata: z.object({ [A2A_EXTENSION]: handoffTermsSchema.optional() }).optional(),
});

const historyLength = z.int().min(0).optional();
const send = z.object({
  message,
  configuration: z
    .object({
      returnImmediately: z.boolean().optional(),
      historyLength,
      taskPushNotificationConfig: z.unknown().optional(),
    })
    .refine(({ taskPushNotificationConfig: push }) => push === undefined, {
      message: 'nothing is pushed: follow the task, or ask for it',
      params: { push: true },
    })
    .optional(),
});
const ofTask = z.object({ id });

/** By method; the SDK refuses methods that are not A2A's. */
const PARAMS: ReadonlyMap<string, z.ZodType> = new Map(
  Object.entries({
    SendMessage: send,
    SendStreamingMessage: send,
    GetTask: ofTask.extend({ historyLength }),
    CancelTask: ofTask,
    SubscribeToTask: ofTask,
    ListTasks: z.object({
      contextId: id.or(noId).optional(),
      status: z.string().max(64).optional(),
      pageSize: z.int().min(1).max(100).optional(),
      pageToken: z.string().max(200).optional(),
      historyLength,
      statusTimestampAfter: z.iso.datetime({ offset: true }).optional(),
      includeArtifacts: z.boolean().optional(),
    }),
  }),
);

export type Checked =
  | { readonly ok: true; readonly params: unknown }
  | { readonly ok: false; readonly isPush: boolean; readonly problem: string };

/** The params of a request without what is not known of them. */
export function checkParams(method: string, params: unknown): Checked {
  const schema = PARAMS.get(method);
  // Nothing of what is refused anyhow is looked at.
  if (schema === undefined) return { ok: true, params: {} };
  const parsed = schema.safeParse(params);
  if (parsed.success) return { ok: true, params: parsed.data };
  const [issue] = parsed.error.issues;
  const isPush = issue?.code === 'custom' && issue.params?.['push'] === true;
  return { ok: false, isPush, problem: `${['params', ...(issue?.path ?? [])].join('.')}: ${issue?.message ?? ''}` };
}

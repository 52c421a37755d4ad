import { z } from 'zod';
import { approvalIdSchema } from '#src/protocol/approval.ts';
import { filePathSchema } from '#src/protocol/files.ts';
import {
  agentIdSchema,
  artefactNameSchema,
  contextSchema,
  messageTextSchema,
  sha256Schema,
  taskSchema,
} from '#src/protocol/handoff-fields.ts';
import { commandSchema } from '#src/protocol/worker-api.ts';

/** What somebody wants done on nodes, before it is done: who may, and who has to be asked first. */

const MAX_ARGS_BYTES = 256 * 1024;
const MAX_ARGS_DEPTH = 64;

/** Name of an OpenClaw tool, or `node:COMMAND`. */
export const toolNameSchema = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}$/, 'is not a tool’s name');

export const toolArgsSchema = z
  .record(z.string(), z.unknown())
  .refine((args) => !isDeeper(args, MAX_ARGS_DEPTH), { error: 'is nested more than 64 deep', abort: true })
  .refine((args) => JSON.stringify(args).length <= MAX_ARGS_BYTES, 'is longer than 256 KiB');

export const actionSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('exec'), command: commandSchema }),
    z.strictObject({ kind: z.literal('read'), path: filePathSchema }),
    z.strictObject({
      kind: z.literal('write'),
      path: filePathSchema,
      sha256: sha256Schema,
      size: z.int().min(0),
      mode: z.int().min(0).max(0o777).optional(),
    }),
    z.strictObject({ kind: z.literal('tool'), tool: toolNameSchema, args: toolArgsSchema }),
    z.strictObject({
      kind: z.literal('handoff'),
      agent: agentIdSchema,
      task: taskSchema,
      context: contextSchema,
      files: z.array(z.strictObject({ name: artefactNameSchema, size: z.int().min(0), sha256: sha256Schema })).max(32),
    }),
    z.strictObject({ kind: z.literal('message'), agent: agentIdSchema, message: messageTextSchema }),
  ])
  .describe('A time limit of a command is no part of what is approved');

/** Words of a selector: names, ids, `@group`, `tags:x`, `key=value`; `all`: every online worker and hybrid. */
export const targetsSchema = z.union([z.array(z.string().min(1).max(384)).min(1).max(65_535), z.literal('all')]);

export const verdictsCreateSchema = z.strictObject({ targets: targetsSchema, action: actionSchema });
export type VerdictsCreate = z.input<typeof verdictsCreateSchema>;

export const commandApprovalSchema = z.object({
  id: approvalIdSchema,
  question: z.string().describe('What is to be approved: all of it, in one line'),
  expiresAt: z.iso.datetime(),
});

export const verdictsSchema = z.object({
  targets: z
    .array(
      z.object({
        node: z.string(),
        id: z.string(),
        online: z.boolean(),
        verdict: z.enum(['allow', 'approval', 'deny']),
        rule: z.string().describe('Why, in words'),
      }),
    )
    .describe('Name these ids when it is done: an approval is for exactly these nodes'),
  leftOut: z.array(z.string()).describe('Names of those that a group, a label or `all` would mean, were they ready'),
  approval: commandApprovalSchema
    .nullable()
    .describe('What the owner has to answer first; null where no node needs it, or one of them denies it anyway'),
});
export type Verdicts = z.infer<typeof verdictsSchema>;

export const DECISIONS = ['allow-once', 'deny'] as const;
export const commandDecisionSchema = z.strictObject({ decision: z.enum(DECISIONS) });
export type CommandDecision = z.infer<typeof commandDecisionSchema>['decision'];

/** How an approval stands: the answer to whoever decided, and the event `command-approval` for those who show it. */
export const commandApprovalStateSchema = commandApprovalSchema.extend({
  state: z.enum(['pending', 'allowed', 'denied', 'used', 'expired']),
  asker: z.string().describe('Who asked, as channel:sender'),
  by: z.string().nullable().describe('Who answered'),
});
export type CommandApprovalState = z.infer<typeof commandApprovalStateSchema>;

/** Asked without recursion: a text may be nested as deep as it is long. */
function isDeeper(value: unknown, limit: number): boolean {
  let level: readonly unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > limit) return true;
    level = level.flatMap((part): unknown[] => (typeof part === 'object' && part !== null ? Object.values(part) : []));
  }
  return false;
}

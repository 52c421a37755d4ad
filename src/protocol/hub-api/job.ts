import { z } from 'zod';
import { OUTCOMES } from '#src/core/outcome.ts';
import { targetsSchema } from '#src/protocol/action.ts';
import { approvalIdSchema } from '#src/protocol/approval.ts';
import { time } from '#src/protocol/hub-api/fields.ts';
import { NODE_STATES } from '#src/protocol/hub-api/node.ts';
import { commandSchema } from '#src/protocol/worker-api.ts';

export const jobCreateSchema = z.strictObject({
  kind: z.enum(['exec', 'broadcast']),
  targets: targetsSchema,
  command: commandSchema,
  approval: approvalIdSchema.optional().describe('Of POST /verdicts, for a chat that needs one'),
  /** Whether the client will send bytes for stdin (one target only). */
  stdin: z.boolean().default(false),
});
export type JobCreate = z.input<typeof jobCreateSchema>;

export const leftOutSchema = z.object({
  node: z.string(),
  id: z.string(),
  state: z.enum(NODE_STATES),
  drained: z.boolean(),
});

/** `open` frame of a job's stream. */
export const jobOpenedSchema = z.object({
  job: z.string(),
  targets: z.array(z.object({ node: z.string(), id: z.string() })),
  leftOut: z.array(leftOutSchema),
});
export type JobOpened = z.infer<typeof jobOpenedSchema>;

/** `exit` frame of a job's stream: how one invocation ended. */
export const resultSchema = z.object({
  node: z.string(),
  id: z.string(),
  invocation: z.string(),
  outcome: z.enum(OUTCOMES),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  durationMs: z.number(),
  stdoutBytes: z.int(),
  stderrBytes: z.int(),
  truncated: z.boolean(),
  replayed: z.boolean(),
  reason: z.string().nullable().describe('In words, where the outcome alone does not say it'),
});
export type Result = z.infer<typeof resultSchema>;

/** What is known of a part whose end nobody told: nothing. `reason` says why, and whether it may have run. */
export function lostResult({ node, id }: JobOpened['targets'][number], reason: string): Result {
  return {
    node,
    id,
    invocation: '',
    outcome: 'unknown',
    exitCode: null,
    signal: null,
    durationMs: 0,
    stdoutBytes: 0,
    stderrBytes: 0,
    truncated: true,
    replayed: false,
    reason,
  };
}

export const summarySchema = z.partialRecord(z.enum(OUTCOMES), z.int());

/** `summary` frame, last of a job's stream. */
export const jobEndedSchema = z.object({ job: z.string(), summary: summarySchema });
export type JobEnded = z.infer<typeof jobEndedSchema>;

export const jobSchema = z.object({
  job: z.string(),
  kind: z.enum(['exec', 'broadcast']),
  by: z.string(),
  chat: z
    .object({
      channel: z.string(),
      sender: z.string(),
      agent: z.string().nullable(),
      session: z.string().nullable(),
    })
    .optional()
    .describe('Who asked in a chat; not there for an operator'),
  approvedBy: z.string().optional().describe('Where the owner had to allow it'),
  command: z.string().describe('argv as it would be typed, or the shell’s string'),
  startedAt: time,
  endedAt: time.nullable(),
  summary: summarySchema,
  results: z.array(resultSchema),
});
export type JobView = z.infer<typeof jobSchema>;

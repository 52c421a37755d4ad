import { z } from 'zod';
import { isAgentId } from '#src/core/handoff/agent.ts';
import { readable } from '#src/adapters/openclaw/gateway-bounds.ts';

/** What we believe of what OpenClaw's gateway says of its agents. Everything else it says is ignored. */
const words = z.string().catch('');

export const agentListSchema = z.object({
  defaultId: z.string().optional().catch(undefined),
  agents: readable(
    z.object({
      id: z.string().refine(isAgentId),
      name: words.optional(),
      identity: z.object({ name: words.optional(), theme: words.optional() }).optional().catch(undefined),
    }),
  ),
});
export type AgentRow = z.infer<typeof agentListSchema>['agents']['rows'][number];

/** Something that happened in a session. */
export const agentEventSchema = z.object({
  runId: z.string(),
  sessionKey: z.string(),
  stream: z.string(),
  data: z.record(z.string(), z.unknown()).catch({}),
});

/** `text` is all of this item so far. */
export const assistantSchema = z.object({
  text: z.string().optional(),
  delta: z.string().optional(),
  itemId: z.string().optional(),
});

export const toolSchema = z.object({
  phase: z.enum(['start', 'update', 'result']),
  name: z.string(),
  toolCallId: z.string(),
  args: z.unknown().optional(),
  partialResult: z.unknown().optional(),
  result: z.unknown().optional(),
  isError: z.boolean().optional().catch(undefined),
});

const count = z.number().int().min(0).catch(0);
const usageSchema = z.object({ input: count, output: count });

const payloadSchema = z.object({
  text: z.string().nullish().catch(null),
  mediaUrl: z.string().nullish().catch(null),
  mediaUrls: z.array(z.string()).nullish().catch(null),
  isError: z.boolean().nullish().catch(null),
});

/** The last answer to `agent`. */
export const agentResultSchema = z.object({
  status: z.string(),
  summary: z.string().optional().catch(undefined),
  stopReason: z.string().optional().catch(undefined),
  error: z.unknown().optional(),
  result: z
    .object({
      payloads: z.array(payloadSchema).catch([]),
      meta: z
        .object({
          aborted: z.boolean().optional().catch(undefined),
          agentMeta: z
            .object({ usage: usageSchema.optional().catch(undefined) })
            .optional()
            .catch(undefined),
        })
        .optional()
        .catch(undefined),
    })
    .optional()
    .catch(undefined),
});
export type AgentResult = z.infer<typeof agentResultSchema>;

/** Answer to `agent.wait`. `timeout` is said of a run that goes on, and of one that it knows nothing of. */
export const waitSchema = z.object({
  status: z.string(),
  stopReason: z.string().optional().catch(undefined),
  error: z.unknown().optional(),
  terminalReply: z.object({ text: z.string().optional() }).optional().catch(undefined),
});

/** Answer to `sessions.describe`: null where there is no such session. */
export const sessionSchema = z.object({
  session: z
    .object({
      status: z.string().optional().catch(undefined),
      abortedLastRun: z.boolean().optional().catch(undefined),
      hasActiveRun: z.boolean().optional().catch(undefined),
      lastRunId: z.string().optional().catch(undefined),
    })
    .nullish(),
});
export type Session = NonNullable<z.infer<typeof sessionSchema>['session']>;

export const historySchema = z.object({
  messages: z.array(
    z
      .object({
        role: z.string(),
        content: z.unknown().optional(),
        idempotencyKey: z.string().optional().catch(undefined),
        stopReason: z.string().optional().catch(undefined),
        usage: usageSchema.optional().catch(undefined),
        __openclaw: z
          .object({ runId: z.string().optional().catch(undefined) })
          .optional()
          .catch(undefined),
      })
      .catch({ role: '' }),
  ),
});
export type History = z.infer<typeof historySchema>;

export const abortSchema = z.object({ aborted: z.boolean().catch(false) });

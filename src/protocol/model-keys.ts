import { z } from 'zod';
import { isAgentPattern } from '#src/core/handoff/reach.ts';
import { BUDGET_PERIODS, BUDGET_UNITS } from '#src/core/models/key.ts';
import { isNodeName } from '#src/core/node.ts';

/** What the hub answers and takes of keys for models, and of their usage. Times are ISO 8601 in UTC. */
const time = z.iso.datetime();
const count = z.int().min(0);

const budgetSchema = z.strictObject({
  amount: z.int().min(1).max(1_000_000_000_000),
  unit: z.enum(BUDGET_UNITS),
  per: z.enum(BUDGET_PERIODS).describe('Days and months are those of UTC'),
});

const modelPattern = z.string().regex(/^[\x21-\x7e]{1,256}$/, 'a pattern is a name in which * stands for any part');
const agentPattern = z.string().refine(isAgentPattern, 'a pattern is node/agent, in which * stands for any part');

const modelKeyFields = z.strictObject({
  name: z.string().refine(isNodeName, 'a key is named as a node is'),
  models: z
    .array(modelPattern)
    .max(256)
    .optional()
    .describe(
      'What may be written as `model`; `*` stands for any part; not given: all, or none where it is for agents',
    ),
  agents: z.array(agentPattern).max(256).default([]).describe('`node/agent` that it reaches over A2A'),
  budgets: z.array(budgetSchema).max(6).default([]).describe('All of them hold'),
  rpm: z.int().min(1).max(1_000_000).nullable().default(null).describe('Requests in a minute'),
  ttlSeconds: z
    .int()
    .min(1)
    .max(3650 * 86_400)
    .nullable()
    .default(null),
});

export const modelKeyCreateSchema = modelKeyFields
  .refine(({ models, agents }) => models?.length !== 0 || agents.length > 0, 'the key is for nothing')
  .transform((wanted) => ({ ...wanted, models: wanted.models ?? (wanted.agents.length > 0 ? [] : ['*']) }));
export type ModelKeyCreate = z.input<typeof modelKeyCreateSchema>;

const spentSchema = z.object({ tokens: count, requests: count });

export const modelKeySchema = z.object({
  id: z.string().describe('SHA-256 of its secret, hex'),
  name: z.string(),
  models: z.array(z.string()),
  agents: z.array(z.string()),
  budgets: z.array(budgetSchema),
  rpm: z.int().nullable(),
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time.nullable(),
  spent: z.object({ day: spentSchema, month: spentSchema, total: spentSchema }),
});
export type ModelKeyView = z.infer<typeof modelKeySchema>;

export const modelKeyCreatedSchema = modelKeySchema.extend({ secret: z.string().describe('Shown this once') });
export type ModelKeyCreated = z.infer<typeof modelKeyCreatedSchema>;

export const USAGE_BY = ['consumer', 'node', 'model'] as const;
export type UsageBy = (typeof USAGE_BY)[number];

export const modelUsageSchema = z.object({
  since: z.iso.date().describe('The first day of it'),
  by: z.enum(USAGE_BY),
  rows: z
    .array(
      z.object({
        name: z.string().describe('Of the consumer, the node or the model; `-` where there was none'),
        kind: z.enum(['operator', 'node', 'key']).nullable().describe('What the consumer is'),
        requests: count,
        failed: count.describe('Answered with 400 or more, or not at all'),
        aborted: count.describe('The client went away, or the answer broke off'),
        attempts: count,
        tokens: z.object({ input: count, output: count, cached: count }),
        untold: count.describe('Requests of which no upstream said what they took'),
        firstByteMs: z.number().nullable().describe('Mean'),
        firstByteMaxMs: z.number().nullable(),
        lastDay: z.iso.date(),
      }),
    )
    .describe('The ones with the most requests first'),
});
export type ModelUsage = z.infer<typeof modelUsageSchema>;

import { z } from 'zod';
import { time } from '#src/protocol/hub-api/fields.ts';

export const pruneSchema = z.strictObject({
  unseenSeconds: z.int().min(3600).describe('Members and devices that were not seen for so long'),
  dryRun: z.boolean().default(false),
  only: z.array(z.string().max(256)).max(100_000).optional().describe('Ids that were shown: no other is touched'),
});

/** What is of no use any more. */
export const ghostSchema = z.object({
  kind: z.enum(['member', 'revoked', 'device']),
  id: z.string(),
  name: z.string(),
  reason: z.string(),
  lastSeenAt: time.nullable(),
  problem: z.string().nullable().describe('Why it is still there'),
});
export type GhostView = z.infer<typeof ghostSchema>;

export const prunedSchema = z.object({
  ghosts: z.array(ghostSchema),
  done: z.boolean().describe('False for a dry run'),
  unasked: z.string().nullable().describe('Why the gateway’s devices were not looked at'),
});
export type Pruned = z.infer<typeof prunedSchema>;

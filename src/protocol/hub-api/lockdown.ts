import { z } from 'zod';
import { isLabelValue } from '#src/core/label.ts';
import { time } from '#src/protocol/hub-api/fields.ts';

export const lockdownSchema = z.strictObject({
  reason: z.string().min(1).refine(isLabelValue, 'at most 256 characters in one line').optional(),
});

export const lockdownStatusSchema = z.object({ since: time, by: z.string(), reason: z.string().nullable() }).nullable();
export type LockdownStatus = z.infer<typeof lockdownStatusSchema>;

export const lockedDownSchema = z.object({
  lockdown: lockdownStatusSchema.unwrap(),
  ended: z.int().describe('Jobs that were ended by it'),
  running: z.int().describe('Jobs whose end is not confirmed yet'),
  unconfirmed: z.array(z.string()).describe('Linked nodes that did not confirm that they run nothing any more'),
});
export type LockedDown = z.infer<typeof lockedDownSchema>;

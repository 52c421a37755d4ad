import { z } from 'zod';

/** Of a command approval: a ULID. */
export const approvalIdSchema = z.string().regex(/^[0-9A-Z]{26}$/, 'is not the id of an approval');

/** SHA-256 of the text of an action (`actionText`), hex. */
const actionHash = z.string().regex(/^[0-9a-f]{64}$/);

/** The approval that something is done with, as it travels to the worker, which checks it once more. */
export const usedApprovalSchema = z.strictObject({
  id: approvalIdSchema,
  by: z.string().min(1).max(600).describe('Who approved it'),
  action: actionHash.describe('What was approved: nothing else is done with it'),
  node: z.string().max(64).describe('Id of the node that it is for'),
});
export type UsedApproval = z.infer<typeof usedApprovalSchema>;

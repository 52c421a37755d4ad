import { z } from 'zod';
import { time } from '#src/protocol/hub-api/fields.ts';
import { nodeDetailSchema } from '#src/protocol/hub-api/node.ts';

/** A node that runs only OpenClaw's own node host or app. */
export const openClawNodeSchema = z.object({
  id: z.string().describe('The gateway’s device id'),
  name: z.string(),
  fingerprint: z.string(),
  state: z.enum(['connected', 'disconnected', 'half-approved', 'removing', 'unknown']),
  platform: z.string().nullable(),
  version: z.string().nullable(),
  commands: z.array(z.string()),
  approvedBy: z.string().nullable().describe('Null where it was let in at the gateway itself'),
  lastSeenAt: time.nullable(),
});
export type OpenClawNodeView = z.infer<typeof openClawNodeSchema>;

/** A former member, or one of OpenClaw's own nodes, which is `removing` until the gateway confirmed it. */
export const revokedSchema = z.union([nodeDetailSchema, openClawNodeSchema]);
export type RevokedView = z.infer<typeof revokedSchema>;

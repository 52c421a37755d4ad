import { z } from 'zod';
import { tailnetMachine, time } from '#src/protocol/hub-api/fields.ts';

export const operatorSchema = z.object({
  id: z.string(),
  name: z.string(),
  fingerprint: z.string(),
  tailnet: tailnetMachine.nullable(),
  approvedAt: time,
  approvedBy: z.string(),
});
export type OperatorView = z.infer<typeof operatorSchema>;

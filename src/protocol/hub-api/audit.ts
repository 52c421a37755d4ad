import { z } from 'zod';
import { time } from '#src/protocol/hub-api/fields.ts';

export const auditRecordSchema = z.object({
  seq: z.int(),
  at: time,
  action: z.string(),
  by: z.string(),
  detail: z.record(z.string(), z.unknown()),
  previous: z.string(),
  hash: z.string(),
});
export type AuditView = z.infer<typeof auditRecordSchema>;

export const auditVerdictSchema = z.object({
  whole: z.boolean(),
  records: z.int(),
  fault: z.object({ seq: z.int(), problem: z.string() }).nullable(),
});
export type AuditVerdict = z.infer<typeof auditVerdictSchema>;

import { z } from 'zod';
import { labels, time } from '#src/protocol/hub-api/fields.ts';

export const judgeSchema = z.strictObject({
  dryRun: z.boolean().default(false).describe('Only say what would become of it'),
  approveEverything: z.boolean().default(false).describe('Take rules that approve everybody for good'),
});

/** What the rules make of a request, and what was done of it. */
export const judgementSchema = z.object({
  verdict: z.enum(['approve', 'hold', 'reject']),
  rule: z.string().nullable().describe('The rule that decided, or would have if nothing stood against it'),
  reason: z.string(),
  labels,
  groups: z.array(z.string()),
  models: z.boolean().describe('Whether it may offer models then'),
  enforced: z.boolean().describe('False where the rules’ mode is `warn`'),
  retryAt: time.nullable().describe('When time alone brings another verdict'),
  done: z.enum(['approved', 'rejected', 'nothing']),
});
export type Judgement = z.infer<typeof judgementSchema>;

/** Which rule would decide on a request, and why. */
export const explanationSchema = judgementSchema
  .pick({ verdict: true, rule: true, reason: true, enforced: true })
  .extend({
    problem: z.string().nullable().describe('Why the rules file can’t be used; the rules are those from before then'),
    rules: z.array(
      z.object({
        rule: z.string(),
        verdict: judgementSchema.shape.verdict,
        matches: z.boolean().describe('Whether or not an earlier rule decides'),
        decides: z.boolean(),
        expired: time.nullable().describe('When it expired; null where it did not'),
        conditions: z.array(
          z.object({
            condition: z.string(),
            wanted: z.array(z.string()).describe('As it stands in the rule'),
            holds: z.boolean(),
            why: z.string().describe('The fact that makes it so'),
          }),
        ),
      }),
    ),
    lines: z.array(z.string()).describe('The same for a terminal'),
  });
export type ExplanationView = z.infer<typeof explanationSchema>;

/** The rules by which nodes are let in without a person. */
export const policyStatusSchema = z.object({
  state: z
    .enum(['none', 'loaded', 'broken'])
    .describe('`broken`: the file can’t be used, and the rules are those that it held before, if any'),
  mode: z.enum(['warn', 'enforce']).nullable(),
  rules: z.int(),
  problem: z.string().nullable(),
  everybody: z
    .object({ rules: z.int(), problem: z.string().nullable() })
    .describe('The same two where `approveEverything` is said'),
});
export type PolicyStatus = z.infer<typeof policyStatusSchema>;

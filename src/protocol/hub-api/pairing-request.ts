import { z } from 'zod';
import { ROLES } from '#src/core/node.ts';
import { REQUEST_KINDS } from '#src/core/request.ts';
import { tailnetMachine, time } from '#src/protocol/hub-api/fields.ts';

/** One that waits for a person or the rules, of whatever kind. */
export const pairingRequestSchema = z.object({
  kind: z
    .enum(REQUEST_KINDS)
    .describe(
      '`join` a node wants in, `more` a member wants to offer more, `moved` a member’s key asks from another machine, ' +
        '`device` and `surface` OpenClaw’s own node wants in and then to offer commands, `operator` a person wants to steer',
    ),
  id: z.string(),
  name: z.string().describe('As it calls itself'),
  role: z.enum([...ROLES, 'node-host', 'operator']),
  fingerprint: z.string(),
  address: z.string(),
  tailnet: tailnetMachine
    .nullable()
    .describe('The machine behind the address, by the tailnet’s word; null where it knows none'),
  version: z.string().nullable().describe('Of our program; null where it runs none'),
  openclawVersion: z.string().nullable(),
  platform: z.string().nullable(),
  arch: z.string().nullable(),
  offers: z.array(z.string()),
  commands: z.array(z.string()).nullable().describe('That it would offer to OpenClaw; null while that is not known'),
  risks: z.array(z.string()).describe('What an approval lets happen, in words'),
  token: z.string().nullable().describe('Name of the join token that leaves the decision to the rules'),
  held: z.string().nullable().describe('Why only a person may approve it'),
  rejected: z.boolean(),
  askedAt: time,
  lastAskedAt: time,
  expiresAt: time.nullable().describe('When it is gone by itself'),
});
export type PairingRequestView = z.infer<typeof pairingRequestSchema>;

export const approveSchema = z.strictObject({
  replace: z.boolean().default(false),
  models: z
    .boolean()
    .default(true)
    .describe('Whether a node that joins by it may offer models; from a chat it may not'),
});

/** What was let in; whether it is usable already is another question: `/nodes/{id}/readiness`. */
export const approvedSchema = z.object({
  kind: z.enum(REQUEST_KINDS),
  id: z.string().describe('Of the node, the device or the operator'),
  name: z.string(),
  role: z.enum([...ROLES, 'node-host', 'operator']),
  fingerprint: z.string(),
  replaced: z.array(z.string()).describe('Ids of those whose place it took: they are revoked'),
});
export type ApprovedView = z.infer<typeof approvedSchema>;

import { z } from 'zod';
import { time } from '#src/protocol/hub-api/fields.ts';
import { policyStatusSchema } from '#src/protocol/hub-api/judgement.ts';
import { lockdownStatusSchema } from '#src/protocol/hub-api/lockdown.ts';

export const statusSchema = z.object({
  name: z.string(),
  version: z.string(),
  pid: z.int(),
  fingerprint: z.string(),
  epoch: z.int(),
  startedAt: time,
  listening: z.array(z.string()),
  nodes: z.object({ online: z.int(), suspect: z.int(), offline: z.int(), revoked: z.int(), quarantined: z.int() }),
  pending: z.int(),
  jobs: z.object({ running: z.int() }),
  gateway: z.object({
    state: z.enum(['absent', 'connected', 'disconnected']),
    url: z.string().nullable(),
    version: z.string().nullable(),
    problem: z.string().nullable(),
  }),
  tailnet: z.object({
    state: z.string().describe('`off`: not wanted; `absent`: no tailscaled answers; otherwise tailscaled’s own word'),
    addresses: z.array(z.string()).describe('Of this machine, whether the hub listens on them already or not'),
    dnsName: z.string().nullable(),
    problem: z.string().nullable().describe('Why the hub does not listen there'),
  }),
  policy: policyStatusSchema,
  models: z
    .object({
      shared: z.int().describe('Models, of whatever node'),
      nodes: z.int().describe('That share some'),
      problems: z.array(z.object({ node: z.string(), problem: z.string() })).describe('As nodes say'),
    })
    .optional()
    .describe('Not there in the answer of an earlier version'),
  lockdown: lockdownStatusSchema,
});
export type Status = z.infer<typeof statusSchema>;

/** What anybody may know who can reach the hub: that it is one, which one, and whether they would understand it. */
export const healthSchema = z.object({
  status: z.literal('ok'),
  version: z.string(),
  epoch: z.int(),
  hubId: z.string().describe('SHA-256 of the hub’s public key, hex; what a join token pins'),
  protocol: z.object({ min: z.int(), max: z.int() }).describe('Versions of the link protocol'),
});
export type Health = z.infer<typeof healthSchema>;

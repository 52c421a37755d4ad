import { z } from 'zod';
import { isNodeName, ROLES } from '#src/core/node.ts';
import { labels, time } from '#src/protocol/hub-api/fields.ts';

export const tokenCreateSchema = z.strictObject({
  name: z.string().refine(isNodeName, 'not a node name').optional(),
  role: z.enum(ROLES).default('worker'),
  labels: labels.default({}),
  ttlSeconds: z
    .int()
    .min(1)
    .max(30 * 86_400)
    .default(900),
  uses: z.int().min(1).max(1000).default(1),
  models: z.boolean().default(true).describe('Whether who joins by it may offer models'),
  rules: z
    .string()
    .refine(isNodeName, 'not a name')
    .optional()
    .describe('Name by which approval rules know it: it admits nobody by itself, its bearer waits for them'),
});
export type TokenCreate = z.input<typeof tokenCreateSchema>;

export const tokenCreatedSchema = z.object({
  id: z.string().describe('SHA-256 of its secret, hex'),
  token: z.string().describe('Shown this once'),
  expiresAt: time,
  uses: z.int(),
});
export type TokenCreated = z.infer<typeof tokenCreatedSchema>;

/** A join token that is good for something; its secret is known to whoever made it and to nobody else. */
export const tokenSchema = z.object({
  id: z.string(),
  name: z.string().nullable().describe('The one node name that it is for'),
  role: z.enum(ROLES),
  labels,
  rules: z.string().nullable(),
  usesLeft: z.int(),
  createdAt: time,
  createdBy: z.string(),
  expiresAt: time,
});
export type TokenView = z.infer<typeof tokenSchema>;

/**
 * What a join token is good for. It is asked by the SHA-256 of the token's secret, hex, which admits nobody and from
 * which the secret can't be found: whoever has it can learn this and nothing more.
 */
export const joinTokenSchema = z.object({
  role: z.enum(ROLES),
  name: z.string().nullable().describe('The one name that it is for; null for any'),
  expiresAt: time,
  usesLeft: z.int(),
});
export type JoinTokenView = z.infer<typeof joinTokenSchema>;

import { z } from 'zod';

/** What we believe of OpenClaw's gateway protocol, version 4. Everything else it says is ignored. */
export const PROTOCOL = 4;
/** The gateway's own limit of one frame, in bytes (`policy.maxPayload`). */
export const MAX_FRAME_BYTES = 26_214_400;

const refusalSchema = z.object({
  code: z.string().catch('UNKNOWN'),
  message: z.string().catch('no reason given'),
  details: z.unknown().optional(),
  retryAfterMs: z.number().optional().catch(undefined),
});
export type Refusal = z.infer<typeof refusalSchema>;

const response = z.discriminatedUnion('ok', [
  z.object({ type: z.literal('res'), id: z.string(), ok: z.literal(true), payload: z.unknown() }),
  z.object({ type: z.literal('res'), id: z.string(), ok: z.literal(false), error: refusalSchema }),
]);
const event = z.object({ type: z.literal('event'), event: z.string(), payload: z.unknown().optional() });
export const frameSchema = z.union([response, event]);

export const helloSchema = z.object({ server: z.object({ version: z.string() }).optional() });

/** The first of the two answers to what takes long. */
export const acceptedSchema = z.object({ status: z.literal('accepted') });

/** `access` is what a device that brings the code gets; it defaults to everything, so it is checked. */
export const setupCodeSchema = z.object({
  setupCode: z.string().min(1),
  setupId: z.string().min(1),
  expiresAtMs: z.number(),
  access: z.literal('node'),
});

const setupUseSchema = z.object({ deviceId: z.string().min(1) });

/** By whom a setup code was used; `deliveryUncertain` where the device may not have heard that it is in. */
export const setupStatusSchema = z.object({
  completion: setupUseSchema.optional(),
  deliveryUncertain: setupUseSchema.optional(),
});

export const invokeResultSchema = z.object({ payload: z.unknown() });

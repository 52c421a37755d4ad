import { z } from 'zod';
import { time } from '#src/protocol/hub-api/fields.ts';
import { NODE_HOST_STATES } from '#src/protocol/hub-api/node.ts';

/** A worker asks for a way into the gateway: a setup code that works once and is good for a node and nothing more. */
export const setupCodeRequestSchema = z.strictObject({ carrierPort: z.int().min(1).max(65_535) });

export const setupCodeSchema = z.object({ setupCode: z.string(), expiresAt: time });

/** What the gateway says of the asking node's own node host. */
export const ownNodeHostSchema = z.object({ nodeHost: z.enum(NODE_HOST_STATES) });

export const CARRIER_PATH = '/api/v1/gateway';

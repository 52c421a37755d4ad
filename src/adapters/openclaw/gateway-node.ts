import { z } from 'zod';
import { address, claim, id, moment, names, readable } from '#src/adapters/openclaw/gateway-bounds.ts';

const APPROVAL_STATES = ['unapproved', 'pending-approval', 'pending-reapproval', 'approved', 'unknown'] as const;

/** A node host as the gateway's `node.list` has it. What it says of itself is hostile text. */
export interface GatewayNode {
  readonly connected: boolean;
  /** Those that can be called now. */
  readonly commands: readonly string[];
  /** How far its command surface is; its device may be paired in any of them. */
  readonly approvalState: (typeof APPROVAL_STATES)[number];
  readonly displayName: string | null;
  readonly platform: string | null;
  readonly version: string | null;
  /** Null where it came by loopback. */
  readonly remoteIp: string | null;
  readonly paired: boolean;
  /** The surface request that waits for an approval. */
  readonly pendingRequestId: string | null;
  /** Milliseconds since the epoch; null: never. */
  readonly lastSeenAt: number | null;
}

export const nodeListSchema = z.object({
  nodes: readable(
    z
      .object({
        nodeId: id,
        connected: z.boolean().default(false),
        commands: names,
        approvalState: z.enum(APPROVAL_STATES).catch('unknown'),
        displayName: claim,
        platform: claim,
        version: claim,
        remoteIp: address,
        paired: z.boolean().default(false),
        pendingRequestId: id.nullable().catch(null),
        lastSeenAtMs: moment.nullable().catch(null),
      })
      .transform(({ nodeId, lastSeenAtMs, ...said }): GatewayNode & { nodeId: string } => ({
        nodeId,
        ...said,
        lastSeenAt: lastSeenAtMs,
      })),
  ),
});

import { z } from 'zod';
import { MAX_GROUPS } from '#src/core/label.ts';
import { isNodeName, ROLES } from '#src/core/node.ts';
import { groupName, labelKey, labels, labelValue, tailnetMachine, time } from '#src/protocol/hub-api/fields.ts';

export const NODE_STATES = ['online', 'suspect', 'offline', 'quarantined', 'revoked'] as const;
export type NodeState = (typeof NODE_STATES)[number];

/**
 * The node host, as the OpenClaw gateway sees it: `none` this node runs none, `unpaired` the gateway does not know
 * it, `unknown` the gateway can't be asked.
 */
export const NODE_HOST_STATES = ['none', 'unpaired', 'disconnected', 'connected', 'unknown'] as const;
export type NodeHostState = (typeof NODE_HOST_STATES)[number];

export const nodeSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  state: z.enum(NODE_STATES),
  labels,
  groups: z.array(z.string()),
  drained: z.boolean().describe('Left out of what means all nodes or a group'),
  version: z.string(),
  openclaw: z.object({
    nodeHost: z.enum(NODE_HOST_STATES),
    deviceId: z.string().nullable(),
    commands: z.array(z.string()),
  }),
  lastSeenAt: time,
});
export type NodeView = z.infer<typeof nodeSchema>;

export const nodeDetailSchema = nodeSchema.extend({
  fingerprint: z.string(),
  platform: z.string(),
  arch: z.string(),
  offers: z.array(z.string()),
  mayOfferModels: z.boolean().describe('Whether others may be served by its models'),
  address: z.string().nullable().describe('Where its link comes from, while it has one'),
  roundTripMs: z.number().nullable().describe('Of the last PING'),
  approvedAt: time,
  approvedBy: z.string(),
  tailnet: tailnetMachine.nullable().describe('The machine that its key belongs to'),
  quarantine: z.string().nullable().describe('Why it is under quarantine'),
  running: z.int().describe('Invocations that run there now'),
});
export type NodeDetail = z.infer<typeof nodeDetailSchema>;

export const renameSchema = z.strictObject({ name: z.string().refine(isNodeName, 'not a node name') });

/** Labels to set, and with null to take away. */
export const relabelSchema = z.strictObject({ labels: z.record(labelKey, labelValue.nullable()) });

export const regroupSchema = z.strictObject({
  add: z.array(groupName).max(MAX_GROUPS).default([]),
  remove: z.array(groupName).max(MAX_GROUPS).default([]),
});

import { z } from 'zod';
import { ERROR_CODES } from '#src/core/errors.ts';
import { isLabelKey, isLabelValue, MAX_GROUPS } from '#src/core/label.ts';
import { ROLES, isNodeName } from '#src/core/node.ts';
import { REQUEST_KINDS } from '#src/core/request.ts';
import { OUTCOMES } from '#src/core/outcome.ts';
import { targetsSchema } from '#src/protocol/action.ts';
import { approvalIdSchema } from '#src/protocol/approval.ts';
import { commandSchema } from '#src/protocol/worker-api.ts';

/** What the hub answers and takes under /api/v1. Times are ISO 8601 in UTC. */
const time = z.iso.datetime();
const labelKey = z.string().refine(isLabelKey, 'a label is a-z, 0-9 and ._/-, and not self/…');
const labelValue = z.string().refine(isLabelValue, 'at most 256 characters in one line');
const labels = z.record(labelKey, labelValue);
const groupName = z.string().refine(isNodeName, 'a group is named as a node is');
const tailnetMachine = z.object({
  stableId: z.string(),
  name: z.string(),
  user: z.string().nullable().describe('Null for a tagged machine, which belongs to nobody'),
  tags: z.array(z.string()),
});

export const errorSchema = z
  .object({ code: z.enum(ERROR_CODES), message: z.string(), hint: z.string().optional() })
  .describe('What went wrong and what to do about it');

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
  address: z.string().nullable().describe('Where its link comes from, while it has one'),
  roundTripMs: z.number().nullable().describe('Of the last PING'),
  approvedAt: time,
  approvedBy: z.string(),
  tailnet: tailnetMachine.nullable().describe('The machine that its key belongs to'),
  quarantine: z.string().nullable().describe('Why it is under quarantine'),
  running: z.int().describe('Invocations that run there now'),
});
export type NodeDetail = z.infer<typeof nodeDetailSchema>;

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

export const approveSchema = z.strictObject({ replace: z.boolean().default(false) });

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

export const READINESS_STEPS = [
  'admitted',
  'linked',
  'device',
  'reconnected',
  'node-host',
  'surface',
  'commands',
] as const;

/** How far a node that was let in is on its way to be usable. */
export const readinessSchema = z.object({
  id: z.string(),
  name: z.string(),
  fingerprint: z.string(),
  kind: z.enum(['member', 'openclaw']).describe('`openclaw`: it runs only OpenClaw’s own node host or app'),
  usable: z.boolean(),
  steps: z
    .array(
      z.object({
        step: z.enum(READINESS_STEPS),
        done: z.boolean(),
        waitsFor: z.string().nullable().describe('In words; null when it is done'),
        run: z.string().nullable().describe('What to run, and where, so that it goes on'),
      }),
    )
    .describe('In their order; the first that is not done is what all wait for'),
});
export type Readiness = z.infer<typeof readinessSchema>;

/** A node that runs only OpenClaw's own node host or app. */
export const openClawNodeSchema = z.object({
  id: z.string().describe('The gateway’s device id'),
  name: z.string(),
  fingerprint: z.string(),
  state: z.enum(['connected', 'disconnected', 'half-approved', 'removing', 'unknown']),
  platform: z.string().nullable(),
  version: z.string().nullable(),
  commands: z.array(z.string()),
  approvedBy: z.string().nullable().describe('Null where it was let in at the gateway itself'),
  lastSeenAt: time.nullable(),
});
export type OpenClawNodeView = z.infer<typeof openClawNodeSchema>;

/** A former member, or one of OpenClaw's own nodes, which is `removing` until the gateway confirmed it. */
export const revokedSchema = z.union([nodeDetailSchema, openClawNodeSchema]);
export type RevokedView = z.infer<typeof revokedSchema>;

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

export const renameSchema = z.strictObject({ name: z.string().refine(isNodeName, 'not a node name') });

/** Labels to set, and with null to take away. */
export const relabelSchema = z.strictObject({ labels: z.record(labelKey, labelValue.nullable()) });

export const regroupSchema = z.strictObject({
  add: z.array(groupName).max(MAX_GROUPS).default([]),
  remove: z.array(groupName).max(MAX_GROUPS).default([]),
});

export const pruneSchema = z.strictObject({
  unseenSeconds: z.int().min(3600).describe('Members and devices that were not seen for so long'),
  dryRun: z.boolean().default(false),
  only: z.array(z.string().max(256)).max(100_000).optional().describe('Ids that were shown: no other is touched'),
});

/** What is of no use any more. */
export const ghostSchema = z.object({
  kind: z.enum(['member', 'revoked', 'device']),
  id: z.string(),
  name: z.string(),
  reason: z.string(),
  lastSeenAt: time.nullable(),
  problem: z.string().nullable().describe('Why it is still there'),
});
export type GhostView = z.infer<typeof ghostSchema>;
export const prunedSchema = z.object({
  ghosts: z.array(ghostSchema),
  done: z.boolean().describe('False for a dry run'),
  unasked: z.string().nullable().describe('Why the gateway’s devices were not looked at'),
});
export type Pruned = z.infer<typeof prunedSchema>;

export const lockdownSchema = z.strictObject({
  reason: z.string().min(1).refine(isLabelValue, 'at most 256 characters in one line').optional(),
});
export const lockdownStatusSchema = z.object({ since: time, by: z.string(), reason: z.string().nullable() }).nullable();
export type LockdownStatus = z.infer<typeof lockdownStatusSchema>;
export const lockedDownSchema = z.object({
  lockdown: lockdownStatusSchema.unwrap(),
  ended: z.int().describe('Jobs that were ended by it'),
  running: z.int().describe('Jobs whose end is not confirmed yet'),
  unconfirmed: z.array(z.string()).describe('Linked nodes that did not confirm that they run nothing any more'),
});
export type LockedDown = z.infer<typeof lockedDownSchema>;

export const operatorSchema = z.object({
  id: z.string(),
  name: z.string(),
  fingerprint: z.string(),
  tailnet: tailnetMachine.nullable(),
  approvedAt: time,
  approvedBy: z.string(),
});
export type OperatorView = z.infer<typeof operatorSchema>;

export const jobCreateSchema = z.strictObject({
  kind: z.enum(['exec', 'broadcast']),
  targets: targetsSchema,
  command: commandSchema,
  approval: approvalIdSchema.optional().describe('Of POST /verdicts, for a chat that needs one'),
  /** Whether the client will send bytes for stdin (one target only). */
  stdin: z.boolean().default(false),
});
export type JobCreate = z.input<typeof jobCreateSchema>;

const leftOutSchema = z.object({
  node: z.string(),
  id: z.string(),
  state: z.enum(NODE_STATES),
  drained: z.boolean(),
});

/** `open` frame of a job's stream. */
export const jobOpenedSchema = z.object({
  job: z.string(),
  targets: z.array(z.object({ node: z.string(), id: z.string() })),
  leftOut: z.array(leftOutSchema),
});
export type JobOpened = z.infer<typeof jobOpenedSchema>;

/** `exit` frame of a job's stream: how one invocation ended. */
export const resultSchema = z.object({
  node: z.string(),
  id: z.string(),
  invocation: z.string(),
  outcome: z.enum(OUTCOMES),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  durationMs: z.number(),
  stdoutBytes: z.int(),
  stderrBytes: z.int(),
  truncated: z.boolean(),
  replayed: z.boolean(),
  reason: z.string().nullable().describe('In words, where the outcome alone does not say it'),
});
export type Result = z.infer<typeof resultSchema>;

export const summarySchema = z.partialRecord(z.enum(OUTCOMES), z.int());

/** `summary` frame, last of a job's stream. */
export const jobEndedSchema = z.object({ job: z.string(), summary: summarySchema });
export type JobEnded = z.infer<typeof jobEndedSchema>;

export const jobSchema = z.object({
  job: z.string(),
  kind: z.enum(['exec', 'broadcast']),
  by: z.string(),
  chat: z
    .object({
      channel: z.string(),
      sender: z.string(),
      agent: z.string().nullable(),
      session: z.string().nullable(),
    })
    .optional()
    .describe('Who asked in a chat; not there for an operator'),
  approvedBy: z.string().optional().describe('Where the owner had to allow it'),
  command: z.string().describe('argv as it would be typed, or the shell’s string'),
  startedAt: time,
  endedAt: time.nullable(),
  summary: summarySchema,
  results: z.array(resultSchema),
});
export type JobView = z.infer<typeof jobSchema>;

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

/** A worker asks for a way into the gateway: a setup code that works once and is good for a node and nothing more. */
export const setupCodeRequestSchema = z.strictObject({ carrierPort: z.int().min(1).max(65_535) });
export const setupCodeSchema = z.object({ setupCode: z.string(), expiresAt: time });

/** What the gateway says of the asking node's own node host. */
export const ownNodeHostSchema = z.object({ nodeHost: z.enum(NODE_HOST_STATES) });

export const CARRIER_PATH = '/api/v1/gateway';

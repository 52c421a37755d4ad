import { z } from 'zod';
import { isAgentTag } from '#src/core/handoff/agent.ts';
import type { OfferedAgent } from '#src/core/handoff/agent.ts';
import type { HandoffEvent } from '#src/core/handoff/event.ts';
import { HANDOFF_OUTCOMES, HANDOFF_STATES } from '#src/core/handoff/state.ts';
import { usedApprovalSchema } from '#src/protocol/approval.ts';
import { askerSchema } from '#src/protocol/asker.ts';
import {
  agentIdSchema,
  artefactNameSchema,
  contextSchema,
  messageTextSchema,
  sha256Schema,
  taskSchema,
} from '#src/protocol/handoff-fields.ts';
import { oneLine } from '#src/protocol/one-line.ts';
import { time } from '#src/protocol/hub-api/fields.ts';

/**
 * Handoffs, as clients ask the hub for them:
 *
 *     POST   /api/v1/handoffs                       HandoffCreate → 201 HandoffView, or 200 where the key is known
 *     GET    /api/v1/handoffs?limit=N               those that are kept, the latest first: HandoffListed, without their answers
 *     GET    /api/v1/handoffs/{id}
 *     GET    /api/v1/handoffs/{id}/events?after=SEQ server-sent events, to the end: `id:` is the seq, `data:` a HandoffEvent;
 *                                                   `event: standing` has no id and holds a HandoffView. Last-Event-ID counts as `after`
 *     DELETE /api/v1/handoffs/{id}                  asks for its end: 202 HandoffView, the same however often
 *     GET    /api/v1/handoffs/{id}/artefacts/{name} its bytes; SHA256_HEADER says what they have to be
 *     POST   /api/v1/messages                       MessageCreate → 201 MessageView, or 200 where the key is known
 *     GET    /api/v1/messages/{id}
 *     GET    /api/v1/agents
 *
 * and as the hub asks a worker for them, on the link:
 *
 *     POST   /handoffs                              HandoffOrder → HandoffStanding, when it is durable that it is accepted
 *     GET    /handoffs/{id}                         HandoffStanding; 404 HANDOFF_NOT_FOUND proves that it never started here
 *     GET    /handoffs/{id}/events?after=SEQ        ndjson of HandoffEvent and HandoffWord, to the end
 *     DELETE /handoffs/{id}                         asks for its end: HandoffStanding
 *     GET    /handoffs/{id}/artefacts/{name}        its bytes
 *     POST   /messages                              MessageOrder → MessageStanding, when the agent has it
 */
export const MAX_FILES = 32;
/** Of all files that go with a handoff. */
export const MAX_FILES_BYTES = 4 << 20;
export const MAX_OFFERED_AGENTS = 100;
/** Hubs count a handoff that was handed on: so far, and no farther. */
export const MAX_HOPS = 3;
/** Bytes of one event as JSON. */
export const MAX_EVENT_BYTES = 256 * 1024;
/** Bytes of the answer in the last event. */
export const MAX_ANSWER_BYTES = 128 * 1024;
/** Artefacts of one handoff. */
export const MAX_ARTEFACTS = 100;
export const MAX_ARTEFACT_BYTES = 64 << 20;
export const SHA256_HEADER = 'x-federation-sha256';

export const handoffIdSchema = z.string().regex(/^[0-9A-Z]{26}$/, 'is not a handoff’s id');
/** Chosen by the caller: what has the same is the same handoff. */
export const handoffKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, 'a key is 1 to 200 printable characters without blanks');
/** A node, an agent's id, `node/agent`, `tags:coding`, or `key=value` of a node's label. */
const target = z.string().min(1).max(384);
const milliseconds = z.int().positive().max(2_147_483_647);

export const handoffFileSchema = z.strictObject({
  name: artefactNameSchema,
  content: z.base64(),
});
export const handoffFilesSchema = z
  .array(handoffFileSchema)
  .max(MAX_FILES)
  .refine((files) => new Set(files.map(({ name }) => name)).size === files.length, 'two files have the same name')
  .refine(
    (files) => files.reduce((sum, { content }) => sum + content.length, 0) <= (MAX_FILES_BYTES * 4) / 3,
    'the files are more than 4 MiB',
  );

const wanted = {
  task: taskSchema,
  context: contextSchema.default('').describe('What the agent should know beside the task'),
  files: handoffFilesSchema.default([]),
};

export const handoffCreateSchema = z.strictObject({
  key: handoffKeySchema,
  target,
  ...wanted,
  deadline: time.nullable().default(null).describe('When it has to be over; null: no such time'),
  idleTimeoutMs: milliseconds.default(600_000).describe('How long it may say nothing once it has started'),
  queueTimeoutMs: milliseconds.default(600_000).describe('How long it may wait for a node that takes it'),
  rerunnable: z.boolean().default(false).describe('Whether it may be begun anew elsewhere where nobody knows its end'),
  cancelOnDisconnect: z.boolean().default(false).describe('Ends with the last who follows it'),
  approval: z.string().optional().describe('Of the owner, where one is needed'),
});
export type HandoffCreate = z.input<typeof handoffCreateSchema>;

const artefact = {
  name: artefactNameSchema,
  size: z.int().min(0).max(MAX_ARTEFACT_BYTES),
  sha256: sha256Schema,
};

export const handoffViewSchema = z.object({
  id: z.string(),
  key: z.string(),
  state: z.enum(HANDOFF_STATES),
  target: z.string().describe('As the caller named it'),
  node: z.object({ id: z.string(), name: z.string() }).nullable().describe('Who has it'),
  agent: z.string().nullable(),
  asker: z.string(),
  task: z.string().describe('Its beginning, in one line'),
  attempt: z.int().describe('How often it was given to a node'),
  position: z.int().nullable().describe('Place in the queue, from 1; null where it does not wait'),
  seq: z.int().describe('Of the last event'),
  cancelling: z.boolean().describe('Its end was asked for'),
  parent: z.string().nullable().describe('The handoff from which an agent handed it on'),
  createdAt: time,
  startedAt: time.nullable(),
  endedAt: time.nullable(),
  deadline: time.nullable(),
  text: z.string().nullable().describe('The whole answer, when it is over'),
  problem: z.string().nullable().describe('Why it was not completed, or waits, in one line'),
  usage: z.object({ input: z.int(), output: z.int() }).nullable(),
  artefacts: z.array(z.object(artefact)),
});
export type HandoffView = z.infer<typeof handoffViewSchema>;

/** As lists have it: of many, the answers would be more than anybody reads. */
export const handoffListedSchema = handoffViewSchema.omit({ text: true });
export type HandoffListed = z.infer<typeof handoffListedSchema>;

export const messageCreateSchema = z.strictObject({
  key: handoffKeySchema,
  target,
  message: messageTextSchema,
  approval: z.string().optional(),
});
export type MessageCreate = z.input<typeof messageCreateSchema>;

export const MESSAGE_STATES = ['waiting', 'delivered', 'refused'] as const;
export const messageViewSchema = z.object({
  id: z.string(),
  key: z.string(),
  state: z.enum(MESSAGE_STATES),
  target: z.string(),
  node: z.object({ id: z.string(), name: z.string() }),
  agent: z.string().nullable().describe('Null until the node is asked: its first'),
  problem: z.string().nullable(),
  createdAt: time,
  deliveredAt: time.nullable(),
});
export type MessageView = z.infer<typeof messageViewSchema>;

/** An agent that a node offers, with what it does now. */
export const agentViewSchema = z.object({
  node: z.string(),
  nodeId: z.string(),
  id: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  concurrency: z.int(),
  running: z.int(),
  waiting: z.int(),
});
export type AgentView = z.infer<typeof agentViewSchema>;

/** All agents that a node offers, in the place of those before: PUT /api/v1/node/agents. */
export const agentOfferSchema = z.object({
  agents: z
    .array(
      z.object({
        id: agentIdSchema,
        description: z.string().max(2000).transform(oneLine),
        tags: z.array(z.string().refine(isAgentTag)).max(32),
        concurrency: z.int().min(1).max(1024),
      }) satisfies z.ZodType<OfferedAgent>,
    )
    .max(MAX_OFFERED_AGENTS)
    .refine((agents) => new Set(agents.map(({ id }) => id)).size === agents.length, 'an agent is offered twice'),
});
export type AgentOffer = z.infer<typeof agentOfferSchema>;

/** What a worker is given. Its times are relative: clocks of machines differ. */
export const handoffOrderSchema = z.object({
  id: handoffIdSchema,
  /** From 1; a worker that knows a higher one refuses the order with HANDOFF_CONFLICT. */
  attempt: z.int().positive(),
  agent: agentIdSchema,
  asker: askerSchema,
  approval: usedApprovalSchema.optional(),
  ...wanted,
  leftMs: milliseconds.nullable(),
  idleTimeoutMs: milliseconds,
  queueTimeoutMs: milliseconds,
  hops: z.int().min(0).max(MAX_HOPS),
});
export type HandoffOrder = z.infer<typeof handoffOrderSchema>;

export const STANDINGS = ['waiting', 'started', ...HANDOFF_OUTCOMES] as const;
/** How a handoff stands on its node. */
export const handoffStandingSchema = z.object({
  id: handoffIdSchema,
  attempt: z.int().positive(),
  state: z.enum(STANDINGS),
  position: z.int().min(1).max(100_000).nullable(),
  seq: z.int().min(0),
});
export type HandoffStanding = z.infer<typeof handoffStandingSchema>;

const eventTexts = {
  word: z.string().max(200).transform(oneLine),
  long: z.string().max(MAX_EVENT_BYTES),
};
const seq = z.int().positive();
/** What a node says is bounded, whoever wrote it. */
const handoffEventSchema = z.discriminatedUnion('type', [
  z.object({ seq, type: z.literal('started'), attempt: z.int().positive(), agent: agentIdSchema }),
  z.object({ seq, type: z.literal('text'), text: eventTexts.long }),
  z.object({
    seq,
    type: z.literal('tool'),
    call: eventTexts.word,
    name: eventTexts.word,
    phase: z.enum(['start', 'update', 'result']),
    text: eventTexts.long,
    failed: z.boolean(),
  }),
  z.object({ seq, type: z.literal('artefact'), ...artefact }),
  z.object({ seq, type: z.literal('gap'), events: z.int().positive() }),
  z.object({ seq, type: z.literal('restarted'), attempt: z.int().positive() }),
  z.object({
    seq,
    type: z.literal('ended'),
    outcome: z.enum(HANDOFF_OUTCOMES),
    text: z.string().max(MAX_ANSWER_BYTES),
    problem: z.string().max(1000).transform(oneLine).nullable(),
    usage: z.object({ input: z.int().min(0), output: z.int().min(0) }).nullable(),
  }),
]);

/** Between the events of a node, and not kept: that it is there, and how far in the queue. */
const handoffWordSchema = z.object({ type: z.literal('word'), position: z.int().min(1).nullable() });
export type HandoffWord = z.infer<typeof handoffWordSchema>;
/** All that comes from a node while it works. */
export const handoffSaidSchema: z.ZodType<HandoffEvent | HandoffWord> = z.discriminatedUnion('type', [
  handoffEventSchema,
  handoffWordSchema,
]);
/** Time between two words of a node that has nothing else to say. */
export const WORD_MS = 5000;

export const messageOrderSchema = z.object({
  id: handoffIdSchema,
  /** Null: the first that this node offers. */
  agent: agentIdSchema.nullable(),
  asker: askerSchema,
  approval: usedApprovalSchema.optional(),
  message: messageTextSchema,
});
export type MessageOrder = z.infer<typeof messageOrderSchema>;

/** `replayed`: the agent had it before this was asked. */
export const messageStandingSchema = z.object({ agent: agentIdSchema, replayed: z.boolean() });
export type MessageStanding = z.infer<typeof messageStandingSchema>;

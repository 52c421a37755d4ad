import { z } from 'zod';
import { toolArgsSchema, toolNameSchema } from '#src/protocol/action.ts';
import { approvalIdSchema, usedApprovalSchema } from '#src/protocol/approval.ts';
import { askerSchema } from '#src/protocol/asker.ts';

/**
 * Calling a tool of a node.
 *
 *     hub → worker   POST /tools                 toolCallSchema → toolAnswerSchema
 *     client → hub   POST /nodes/{node}/tool     toolRequestSchema → toolResultSchema
 *
 * A tool is one of OpenClaw’s, which the node’s own gateway runs, or `node:COMMAND`, a command of the node’s node host
 * that the gateway of the master reaches. The worker judges both by its own settings; of the second it only says so.
 */
export const NODE_COMMAND = 'node:';

/** Of a call and of an answer on the link, as JSON. The arguments have a limit of their own, and so has each node. */
export const MAX_TOOL_CALL_BYTES = 1 << 20;
/** Above the most that a node can be set to let out, and its word that it was cut. */
export const MAX_TOOL_ANSWER_BYTES = (16 << 20) + (64 << 10);
/** Of an answer: text, pictures and JSON. */
export const MAX_TOOL_PARTS = 256;

const tool = toolNameSchema.describe('An OpenClaw tool of the node’s own gateway, or `node:COMMAND`');
const args = toolArgsSchema.default({}).describe('As the tool takes them');

/** Body of POST /nodes/{node}/tool. */
export const toolRequestSchema = z.strictObject({
  tool,
  args,
  timeoutMs: z.int().positive().max(600_000).default(60_000).describe('Time for the tool'),
  approval: approvalIdSchema.optional().describe('Of POST /verdicts, for a chat that needs one'),
});
export type ToolRequest = z.input<typeof toolRequestSchema>;

const mimeType = z
  .string()
  .max(128)
  .regex(/^image\/[a-z0-9.+-]+$/i, 'is no type of a picture');

/** What else stands there is none that anybody could show, and some would take offence at it. */
const isBase64 = (data: string) => Buffer.from(data, 'base64').toString('base64') === data;

/** One part of what a tool answers. What is neither text nor image comes as the JSON that it is. */
export const toolContentSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('image'),
    data: z.string().refine(isBase64, 'is no Base64').describe('Base64'),
    mimeType,
  }),
  z.object({ type: z.literal('json'), value: z.unknown() }),
]);
export type ToolContent = z.infer<typeof toolContentSchema>;

/** Answer of POST /nodes/{node}/tool. A tool that failed is a TOOL_FAILED instead. */
export const toolResultSchema = z.object({
  node: z.string().describe('Name of the node'),
  id: z.string(),
  tool: z.string(),
  content: z.array(toolContentSchema).describe('Of a node command one part `json`: its payload'),
  bytes: z.int().min(0).describe('Of the whole content, as JSON'),
  truncated: z.boolean().describe('It was longer than the node lets out: a part of text says where it was cut'),
});
export type ToolResult = z.infer<typeof toolResultSchema>;

/** Body of POST /tools on the link. */
export const toolCallSchema = z.object({
  asker: askerSchema,
  approval: usedApprovalSchema.optional(),
  tool,
  args,
  timeoutMs: z.int().positive(),
});
export type ToolCall = z.infer<typeof toolCallSchema>;

/** Counted before any of them is looked at: each that does not fit is told at length. */
const fewParts = z.array(z.unknown()).max(MAX_TOOL_PARTS).pipe(z.array(toolContentSchema));

/** Answer of POST /tools on the link. */
export const toolAnswerSchema = z.discriminatedUnion('kind', [
  toolResultSchema.pick({ bytes: true, truncated: true }).extend({ kind: z.literal('result'), content: fewParts }),
  /** A command of the node host: the hub may have the gateway run it, and lets out this much of its payload. */
  z.object({ kind: z.literal('agreed'), maxOutputBytes: z.int().positive() }),
]);
export type ToolAnswer = z.infer<typeof toolAnswerSchema>;

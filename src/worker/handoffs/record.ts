import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { HandoffAction } from '#src/core/action.ts';
import type { HandoffOrder } from '#src/protocol/handoffs.ts';
import { handoffOrderSchema } from '#src/protocol/handoffs.ts';
import { artefactNameSchema, sha256Schema } from '#src/protocol/handoff-fields.ts';

const fileSchema = z.object({ name: artefactNameSchema, size: z.int().min(0), sha256: sha256Schema });

/** What a worker writes down of a handoff before it says that it has it. */
export const handoffRecordSchema = z.object({
  order: handoffOrderSchema.omit({ files: true }).extend({ files: z.array(fileSchema) }),
  /** Of what was asked: the same id with another is another handoff. */
  hash: sha256Schema,
  /** Of this run of the kernel, in which nothing that was written is lost but by a power cut. */
  boot: z.string(),
  /** Milliseconds since the epoch. */
  acceptedAt: z.number(),
});
export type HandoffRecord = z.infer<typeof handoffRecordSchema>;
export type RecordedOrder = HandoffRecord['order'];

/** Name of its folder, and its key at the gateway: one for each attempt. */
export function nameOf({ id, attempt }: { readonly id: string; readonly attempt: number }): string {
  return `${id}-${attempt}`;
}

export function recordedOrder({ files, ...order }: HandoffOrder): RecordedOrder {
  return {
    ...order,
    files: files.map(({ name, content }) => {
      const bytes = Buffer.from(content, 'base64');
      return { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  };
}

export function actionOf({ agent, task, context, files }: RecordedOrder): HandoffAction {
  return { kind: 'handoff', agent, task, context, files };
}

/** Times are left out: they are what is left of them, and so another in each repeat. */
export function orderHash({ id, agent, task, context, files, hops }: RecordedOrder): string {
  const text = JSON.stringify([
    id,
    agent,
    task,
    context,
    files.map(({ name, size, sha256 }) => [name, size, sha256]),
    hops,
  ]);
  return createHash('sha256').update(text).digest('hex');
}

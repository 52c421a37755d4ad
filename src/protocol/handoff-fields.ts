import { z } from 'zod';
import { isAgentId } from '#src/core/handoff/agent.ts';
import { isArtefactName } from '#src/core/handoff/event.ts';

const MAX_TASK_BYTES = 256 * 1024;
const MAX_CONTEXT_BYTES = 1 << 20;
const MAX_MESSAGE_BYTES = 64 * 1024;

export const agentIdSchema = z.string().refine(isAgentId, 'an agent is A-Z, a-z, 0-9 and -_. , at most 64');
export const artefactNameSchema = z.string().refine(isArtefactName, 'a file has one name, and no path');
export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'is not a SHA-256 in hex');
export const taskSchema = words(MAX_TASK_BYTES, 'the task');
export const contextSchema = atMost(MAX_CONTEXT_BYTES, 'the context');
export const messageTextSchema = words(MAX_MESSAGE_BYTES, 'the message');

function atMost(bytes: number, what: string) {
  return z.string().refine((text) => Buffer.byteLength(text) <= bytes, `${what} is longer than ${bytes} bytes`);
}

function words(bytes: number, what: string) {
  return atMost(bytes, what).refine((text) => text.trim() !== '', `${what} is empty`);
}

import type { Message, Part } from '@a2a-js/sdk';
import { FederationError } from '#src/core/errors.ts';
import { A2A_EXTENSION } from '#src/core/handoff/foreign.ts';
import { handoffTermsSchema } from '#src/hub/a2a/params.ts';
import type { HandoffWish } from '#src/hub/handoffs/desk.ts';
import { handoffCreateSchema } from '#src/protocol/handoffs.ts';

/**
 * The handoff that a message asks for. Its key says both of what the handoff keeps of the message, its id and that of
 * its conversation. Throws USAGE for what no handoff can be.
 */
export function wishOf(message: Message, target: string): HandoffWish {
  const terms = handoffTermsSchema.parse(message.metadata?.[A2A_EXTENSION] ?? {});
  const { deadline, ...others } = terms;
  const parsed = handoffCreateSchema.safeParse({
    ...others,
    ...(deadline === undefined ? {} : { deadline: new Date(deadline).toISOString() }),
    key: keyOf(message),
    target,
    task: message.parts.flatMap(textOf).join('\n\n'),
    files: message.parts.flatMap(fileOf),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new FederationError('USAGE', `the message: ${issue?.message ?? 'does not fit'}`);
}

/** `MESSAGE` or `MESSAGE#CONTEXT`, each as a part of a URL; a message without a context is one of its own. */
function keyOf({ messageId, contextId }: Message): string {
  const key = [messageId, contextId]
    .filter((id) => id !== '')
    .map(encodeURIComponent)
    .join('#');
  if (key.length <= 200) return key;
  throw new FederationError('USAGE', 'the ids of the message and its context are too long together');
}

/** The conversation that a key names; where it names none, the handoff is one of its own. */
export function contextOf({ id, key }: { readonly id: string; readonly key: string }): string {
  const [, context] = key.split('#');
  return context === undefined ? id : decodeURIComponent(context);
}

export function messageIdOf(key: string): string {
  return key.split('#')[0] ?? '';
}

function textOf({ content }: Part): string[] {
  if (content?.$case === 'text') return [content.value];
  return content?.$case === 'data' ? [JSON.stringify(content.value)] : [];
}

function fileOf({ content, filename }: Part, at: number): { name: string; content: string }[] {
  if (content?.$case !== 'raw') return [];
  return [
    { name: filename === '' ? `file-${at + 1}` : filename, content: Buffer.from(content.value).toString('base64') },
  ];
}

import { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { Asker, ChatAsker } from '#src/core/policy.ts';

/**
 * Who asks through the gateway's plugin: base64url of JSON. The plugin's own socket demands it of every request, and no
 * other listener takes it.
 */
export const ASKER_HEADER = 'x-federation-asker';

/** As OpenClaw names channels. One that is called as something else is in the audit would be taken for it there. */
const channel = z.string().regex(/^(?!(?:node|hub|rules|token)$)[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

/** It stands in lists, in the audit and in questions: in one line, and with nothing in it that is not seen. */
const word = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]+$/u);

const chatSchema = z.object({
  kind: z.literal('chat'),
  channel,
  sender: word,
  owner: z.boolean(),
  agent: word.optional(),
  session: word.optional(),
});

export const askerSchema: z.ZodType<Asker> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('operator'), name: z.string(), agents: z.array(z.string()).optional() }),
  chatSchema,
  z.object({ kind: z.literal('node'), id: z.string() }),
]);

export function encodeAsker(asker: ChatAsker): string {
  return Buffer.from(JSON.stringify(asker)).toString('base64url');
}

/** Throws UNAUTHENTICATED where the header is not there or holds no asker. */
export function decodeAsker(header: string | undefined): ChatAsker {
  try {
    // Two of them, or anything else between the letters, must not be read as one.
    if (!/^[\w-]{1,8192}$/.test(header ?? '')) throw new Error('no base64url');
    return chatSchema.parse(JSON.parse(Buffer.from(header ?? '', 'base64url').toString('utf8')));
  } catch (cause) {
    throw new FederationError('UNAUTHENTICATED', `the request has no ${ASKER_HEADER} that says who asks`, { cause });
  }
}

import { z } from 'zod';

/** A member takes another key, asked with the credential of its link: POST /api/v1/node/key. */
export const keyChangeSchema = z.strictObject({
  publicKey: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .describe('The new one: raw Ed25519, base64url'),
  signature: z
    .string()
    .regex(/^[A-Za-z0-9_-]{86}$/)
    .describe('By the new key, over what names this change and no other'),
});

export const keyChangedSchema = z.object({ id: z.string().describe('Id of the node from now on') });

export interface KeyChange {
  /** Id of the hub that is asked. */
  readonly hubId: string;
  /** Id of the node until now. */
  readonly nodeId: string;
  /** The new public key, base64url. */
  readonly publicKey: string;
  /** Number of the link whose credential asks: what was signed for another one is worth nothing. */
  readonly link: number;
}

/** What the new key signs. No part can hold a line feed, so the text is unambiguous. */
export function keyChangeText({ hubId, nodeId, publicKey, link }: KeyChange): string {
  return ['openclaw-federation key', hubId, nodeId, publicKey, link].join('\n');
}

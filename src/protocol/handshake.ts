import { z } from 'zod';
import { ROLES, isNodeName } from '#src/core/node.ts';
import { ERROR_CODES } from '#src/core/errors.ts';

/**
 * The link's handshake: after `101 Switching Protocols` each side sends JSON lines.
 *
 *     node                                   hub
 *      hello   (versions, key, nonce)    →
 *                                        ←   challenge (version, key, nonce, signature)
 *      proof   (signature, facts, secret) →
 *                                        ←   waiting   (the node waits for approval on this line)
 *                                        ←   welcome   (HTTP/2 follows, the hub is its client)
 *                                        ←   refused   (the hub closes)
 *
 * Both sign the same transcript, each with its own label. The node has checked the hub's key before it sends the
 * secret of a join token. The transcript holds the Host that the node dialled, so that a machine in the middle
 * cannot pass the handshake on to the real hub under another name.
 */
export const UPGRADE_PROTOCOL = 'openclaw-federation';
export const LINK_PATH = '/link';
/** Longest line of the handshake. */
export const HANDSHAKE_LINE_BYTES = 16_384;
/** Time for the whole handshake up to `waiting`, `welcome` or `refused`. */
export const HANDSHAKE_MS = 5000;

const key = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const nonce = key;
export const credentialSchema = key;
export const signatureSchema = z.string().regex(/^[A-Za-z0-9_-]{86}$/);
/** A version, platform or the like, as a program says it of itself. */
export const programWord = z.string().regex(/^[\w.+-]{1,64}$/);

export const factsSchema = z.object({
  name: z.string().refine(isNodeName, 'not a node name'),
  role: z.enum(ROLES),
  version: programWord,
  platform: programWord,
  arch: programWord,
  offers: z.array(programWord).max(32),
  openclaw: programWord.nullable().default(null),
  commands: z
    .array(z.string().regex(/^[\w.-]{1,128}$/))
    .max(64)
    .default([]),
});

export const helloSchema = z.object({
  type: z.literal('hello'),
  versions: z.array(z.int().min(1).max(1_000_000)).min(1).max(8),
  key,
  nonce,
});
export type Hello = z.infer<typeof helloSchema>;

export const challengeSchema = z.object({
  type: z.literal('challenge'),
  version: z.int(),
  key,
  nonce,
  signature: signatureSchema,
});
export type Challenge = z.infer<typeof challengeSchema>;

export const proofSchema = z.object({
  type: z.literal('proof'),
  signature: signatureSchema,
  facts: factsSchema,
  /** The secret of a join token. */
  secret: key.optional(),
});
export type Proof = z.infer<typeof proofSchema>;

export const refusedSchema = z.object({
  type: z.literal('refused'),
  code: z.enum(ERROR_CODES),
  message: z.string().max(1000),
  hint: z.string().max(1000).optional(),
});
export type Refused = z.infer<typeof refusedSchema>;

export const waitingSchema = z.object({ type: z.literal('waiting'), held: z.string().max(1000).nullable() });

const welcomeSchema = z.object({
  type: z.literal('welcome'),
  /** Fencing token of the hub: rises with every start of the acting master. */
  epoch: z.int().positive(),
  /** Rises with every link of this node. */
  link: z.int().positive(),
  /** Bearer of the node's own requests to the hub; it ends 60 s after the link. */
  credential: credentialSchema,
  heartbeatSeconds: z.number().positive(),
});
export type Welcome = z.infer<typeof welcomeSchema>;

/** Unknown fields are ignored, here and above, so that a newer build may say more. */
export const challengeOrRefusedSchema = z.discriminatedUnion('type', [challengeSchema, refusedSchema]);
export const judgementSchema = z.discriminatedUnion('type', [waitingSchema, welcomeSchema, refusedSchema]);
export type Judgement = z.infer<typeof judgementSchema>;

export interface Transcript {
  readonly version: number;
  readonly offered: readonly number[];
  /** Host header of the upgrade request. */
  readonly host: string;
  readonly nodeKey: string;
  readonly hubKey: string;
  readonly nodeNonce: string;
  readonly hubNonce: string;
}

/** What a proof is good for. */
export type Purpose = 'link' | 'operator';

/** What is signed. No part can hold a line feed, so the text is unambiguous. */
export function transcriptText(
  signer: 'node' | 'operator' | 'hub',
  transcript: Transcript,
  purpose: Purpose = 'link',
): string {
  return [
    `openclaw-federation ${purpose}`,
    signer,
    transcript.version,
    transcript.offered.join(','),
    transcript.host,
    transcript.nodeKey,
    transcript.hubKey,
    transcript.nodeNonce,
    transcript.hubNonce,
  ].join('\n');
}

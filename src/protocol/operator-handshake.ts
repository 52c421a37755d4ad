import { z } from 'zod';
import { isNodeName } from '#src/core/node.ts';
import {
  credentialSchema,
  programWord,
  refusedSchema,
  signatureSchema,
  waitingSchema,
} from '#src/protocol/handshake.ts';

/**
 * The handshake of an operator on another machine: that of a link, signed with words of its own, so that no proof for
 * one is good for the other. After `welcome` the connection carries `alive` lines of both sides and nothing else: the
 * operator's requests are ordinary HTTP with the credential, which is good while this connection lives.
 */
export const OPERATOR_PATH = '/operator';

export const operatorProofSchema = z.object({
  type: z.literal('proof'),
  signature: signatureSchema,
  name: z.string().refine(isNodeName, 'not named as a node is'),
  version: programWord,
  platform: programWord,
  arch: programWord,
  /** Whether it asks to be let in where it is not known; a mere command does not. */
  login: z.boolean(),
});
export type OperatorProof = z.infer<typeof operatorProofSchema>;

const operatorWelcomeSchema = z.object({
  type: z.literal('welcome'),
  /** As it was approved. */
  name: z.string().max(64),
  /** Bearer of its requests. */
  credential: credentialSchema,
  heartbeatSeconds: z.number().positive(),
});
export type OperatorWelcome = z.infer<typeof operatorWelcomeSchema>;

export const operatorJudgementSchema = z.discriminatedUnion('type', [
  waitingSchema,
  operatorWelcomeSchema,
  refusedSchema,
]);
export type OperatorJudgement = z.infer<typeof operatorJudgementSchema>;

const aliveSchema = z.object({ type: z.literal('alive') });
export type Alive = z.infer<typeof aliveSchema>;

/** What comes after `welcome`: signs of life, and at last why it is over. */
export const aliveOrRefusedSchema = z.discriminatedUnion('type', [aliveSchema, refusedSchema]);

import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { FederationError } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { KeyPair } from '#src/link/key.ts';
import { keyId, verifySignature } from '#src/link/key.ts';
import type { Lines } from '#src/link/lines.ts';
import type { Challenge, Hello, Purpose, Refused, Transcript } from '#src/protocol/handshake.ts';
import { challengeOrRefusedSchema, helloSchema, proofSchema, transcriptText } from '#src/protocol/handshake.ts';
import type { OperatorProof } from '#src/protocol/operator-handshake.ts';
import { operatorProofSchema } from '#src/protocol/operator-handshake.ts';
import { negotiate } from '#src/protocol/version.ts';

export interface Challenger {
  readonly key: KeyPair;
  readonly versions: readonly number[];
  /** Host header of the upgrade request. */
  readonly host: string;
  /** Resolves when one who claims this key may prove it. */
  readonly turn: (keyId: string) => Promise<void>;
}

export interface Proven {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  readonly secret: string | null;
}

export interface ProvenOperator extends Omit<OperatorProof, 'type' | 'signature'> {
  readonly keyId: string;
  readonly publicKey: string;
}

/** The hub's part. Rejects with VERSION_UNSUPPORTED, HANDSHAKE_FAILED or LINK_LOST. */
export async function challengeNode(lines: Lines, hub: Challenger): Promise<Proven> {
  const { key, proof } = await challengeKey(lines, hub, 'link', proofSchema);
  return { nodeId: keyId(key), publicKey: key, facts: proof.facts, secret: proof.secret ?? null };
}

/** The same for an operator. */
export async function challengeOperator(lines: Lines, hub: Challenger): Promise<ProvenOperator> {
  const { key, proof } = await challengeKey(lines, hub, 'operator', operatorProofSchema);
  const { name, version, platform, arch, login } = proof;
  return { keyId: keyId(key), publicKey: key, name, version, platform, arch, login };
}

async function challengeKey<P extends { readonly signature: string }>(
  lines: Lines,
  hub: Challenger,
  purpose: Purpose,
  schema: z.ZodType<P>,
): Promise<{ key: string; proof: P }> {
  const hello = await lines.next(helloSchema);
  await hub.turn(keyId(hello.key));
  const hubNonce = createNonce();
  const transcript: Transcript = {
    version: negotiate(hub.versions, hello.versions),
    offered: hello.versions,
    host: hub.host,
    nodeKey: hello.key,
    hubKey: hub.key.publicKey,
    nodeNonce: hello.nonce,
    hubNonce,
  };
  const signature = hub.key.sign(transcriptText('hub', transcript, purpose));
  lines.send({ type: 'challenge', version: transcript.version, key: hub.key.publicKey, nonce: hubNonce, signature });
  const proof = await lines.next(schema);
  const signer = ASKER[purpose];
  if (!verifySignature(hello.key, transcriptText(signer, transcript, purpose), proof.signature)) {
    throw new FederationError('HANDSHAKE_FAILED', `the ${signer} did not prove its key`);
  }
  return { key: hello.key, proof };
}

/** Who asks the hub, and signs as that. */
const ASKER = { link: 'node', operator: 'operator' } as const satisfies Record<Purpose, string>;

/** Who dials a hub. */
export interface Dialler {
  readonly key: KeyPair;
  readonly versions: readonly number[];
  readonly host: string;
  /** Id that the hub must prove; null takes any. */
  readonly pin: string | null;
}

export interface Answerer extends Dialler {
  readonly facts: NodeFacts;
  readonly secret: string | null;
}

/**
 * The node's part; resolves to the hub's id. Nothing but the public key is sent before the hub proved its own, and
 * the secret to none but a pinned hub. Rejects with HUB_KEY_MISMATCH, VERSION_UNSUPPORTED, HANDSHAKE_FAILED,
 * LINK_LOST, or a Refusal.
 */
export async function answerChallenge(lines: Lines, node: Answerer): Promise<string> {
  const { hubId, sign } = await meetHub(lines, node, 'link');
  const secret = node.pin === null ? null : node.secret;
  lines.send({
    type: 'proof',
    signature: sign(),
    facts: { ...node.facts, offers: [...node.facts.offers], commands: [...node.facts.commands] },
    ...(secret === null ? {} : { secret }),
  });
  return hubId;
}

/** A hub that has proved its key. `sign` makes the proof of the one who dialled. */
export interface MetHub {
  readonly hubId: string;
  sign(): string;
}

/** The first half of the answer, up to the hub's proof. Rejects as `answerChallenge` does. */
export async function meetHub(lines: Lines, dialler: Dialler, purpose: Purpose): Promise<MetHub> {
  const nonce = createNonce();
  const hello: Hello = { type: 'hello', versions: [...dialler.versions], key: dialler.key.publicKey, nonce };
  lines.send(hello);
  const challenge = await lines.next(challengeOrRefusedSchema);
  if (challenge.type === 'refused') throw refusal(challenge);
  const transcript: Transcript = {
    version: challenge.version,
    offered: hello.versions,
    host: dialler.host,
    nodeKey: hello.key,
    hubKey: challenge.key,
    nodeNonce: nonce,
    hubNonce: challenge.nonce,
  };
  const hubId = checkHub(dialler, challenge, transcript, purpose);
  return { hubId, sign: () => dialler.key.sign(transcriptText(ASKER[purpose], transcript, purpose)) };
}

const MISMATCH = {
  link: [
    'the hub at this address has another key than the one this node knows',
    'check the address; if the master was set up anew, join again with a new token',
  ],
  operator: [
    'the hub at this address has another key than the one you confirmed',
    'check the address; if the master was set up anew: manage-federation logout, then login again',
  ],
} as const;

function checkHub(dialler: Dialler, challenge: Challenge, transcript: Transcript, purpose: Purpose): string {
  const hubId = keyId(challenge.key);
  if (dialler.pin !== null && hubId !== dialler.pin) {
    const [message, hint] = MISMATCH[purpose];
    throw new Refusal(new FederationError('HUB_KEY_MISMATCH', message, { hint }));
  }
  if (!verifySignature(challenge.key, transcriptText('hub', transcript, purpose), challenge.signature)) {
    throw new FederationError('HANDSHAKE_FAILED', 'the hub did not prove its key');
  }
  if (!dialler.versions.includes(challenge.version)) {
    throw new FederationError(
      'HANDSHAKE_FAILED',
      `the hub chose protocol version ${challenge.version}, which was not offered`,
    );
  }
  return hubId;
}

/** One side's final no, as opposed to a connection that merely failed. It never crosses a wire. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly error: FederationError;

  constructor(error: FederationError) {
    super(error.message);
    this.error = error;
  }
}

/** The hub's no, in its own words. */
export function refusal({ code, message, hint }: Refused): Refusal {
  return new Refusal(new FederationError(code, message, hint === undefined ? {} : { hint }));
}

function createNonce(): string {
  return randomBytes(32).toString('base64url');
}

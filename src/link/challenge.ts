import { randomBytes } from 'node:crypto';
import { FederationError } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { KeyPair } from '#src/link/key.ts';
import { keyId, verifySignature } from '#src/link/key.ts';
import type { Lines } from '#src/link/lines.ts';
import type { Challenge, Hello, Refused, Transcript } from '#src/protocol/handshake.ts';
import { challengeOrRefusedSchema, helloSchema, proofSchema, transcriptText } from '#src/protocol/handshake.ts';
import { negotiate } from '#src/protocol/version.ts';

export interface Challenger {
  readonly key: KeyPair;
  readonly versions: readonly number[];
  /** Host header of the upgrade request. */
  readonly host: string;
}

export interface Proven {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  readonly secret: string | null;
}

/** The hub's part. Rejects with VERSION_UNSUPPORTED, HANDSHAKE_FAILED or LINK_LOST. */
export async function challengeNode(lines: Lines, hub: Challenger): Promise<Proven> {
  const hello = await lines.next(helloSchema);
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
  const signature = hub.key.sign(transcriptText('hub', transcript));
  lines.send({ type: 'challenge', version: transcript.version, key: hub.key.publicKey, nonce: hubNonce, signature });
  const proof = await lines.next(proofSchema);
  if (!verifySignature(hello.key, transcriptText('node', transcript), proof.signature)) {
    throw new FederationError('HANDSHAKE_FAILED', 'the node did not prove its key');
  }
  return { nodeId: keyId(hello.key), publicKey: hello.key, facts: proof.facts, secret: proof.secret ?? null };
}

export interface Answerer {
  readonly key: KeyPair;
  readonly versions: readonly number[];
  readonly host: string;
  /** Id that the hub must prove; null takes any. */
  readonly pin: string | null;
  readonly facts: NodeFacts;
  readonly secret: string | null;
}

/**
 * The node's part; resolves to the hub's id. Nothing but the public key is sent before the hub proved its own, and
 * the secret to none but a pinned hub. Rejects with HUB_KEY_MISMATCH, VERSION_UNSUPPORTED, HANDSHAKE_FAILED,
 * LINK_LOST, or a Refusal.
 */
export async function answerChallenge(lines: Lines, node: Answerer): Promise<string> {
  const nodeNonce = createNonce();
  const hello: Hello = { type: 'hello', versions: [...node.versions], key: node.key.publicKey, nonce: nodeNonce };
  lines.send(hello);
  const challenge = await lines.next(challengeOrRefusedSchema);
  if (challenge.type === 'refused') throw refusal(challenge);
  const transcript: Transcript = {
    version: challenge.version,
    offered: hello.versions,
    host: node.host,
    nodeKey: hello.key,
    hubKey: challenge.key,
    nodeNonce,
    hubNonce: challenge.nonce,
  };
  const hubId = checkHub(node, challenge, transcript);
  const secret = node.pin === null ? null : node.secret;
  lines.send({
    type: 'proof',
    signature: node.key.sign(transcriptText('node', transcript)),
    facts: { ...node.facts, offers: [...node.facts.offers], commands: [...node.facts.commands] },
    ...(secret === null ? {} : { secret }),
  });
  return hubId;
}

function checkHub(node: Answerer, challenge: Challenge, transcript: Transcript): string {
  const hubId = keyId(challenge.key);
  if (node.pin !== null && hubId !== node.pin) {
    const error = new FederationError(
      'HUB_KEY_MISMATCH',
      'the hub at this address has another key than the one this node knows',
      {
        hint: 'check the address; if the master was set up anew, join again with a new token',
      },
    );
    throw new Refusal(error);
  }
  if (!verifySignature(challenge.key, transcriptText('hub', transcript), challenge.signature)) {
    throw new FederationError('HANDSHAKE_FAILED', 'the hub did not prove its key');
  }
  if (!node.versions.includes(challenge.version)) {
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

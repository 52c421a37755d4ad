import type { Socket } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { Proven } from '#src/link/challenge.ts';
import { challengeNode } from '#src/link/challenge.ts';
import type { Door, Strangers, Visit } from '#src/link/door.ts';
import { addressOf, createDoor } from '#src/link/door.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { Lines } from '#src/link/lines.ts';
import type { Link } from '#src/link/link.ts';
import { openLink } from '#src/link/link.ts';
import { clientSession } from '#src/link/session.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

export type { Link } from '#src/link/link.ts';

/** A node that has proved its key and wants a link. */
export interface Applicant extends Visit {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  /** The secret of a join token. */
  readonly secret: string | null;
}

export interface Admission {
  /** Number of this link; it rises with every link of the node. */
  readonly link: number;
  readonly credential: string;
}

export interface AcceptOptions {
  readonly key: KeyPair;
  readonly epoch: number;
  readonly heartbeatMs: number;
  /**
   * A FederationError refuses the node with its words, anything else as INTERNAL. An admission of a node that has gone
   * meanwhile (see `signal`) makes no link.
   */
  admit(applicant: Applicant): Promise<Admission>;
  onLink(link: Link): void;
  /** Takes what was thrown and is no FederationError. */
  onFault(error: unknown): void;
  readonly versions?: readonly number[];
  /** Who is let in at a pace; nobody where it is not given. */
  readonly strangers?: Strangers;
  /** Connections that may be open without having proved a key. */
  readonly unprovenMax?: number;
  readonly handshakeMs?: number;
}

/** Takes the upgrades for LINK_PATH; its `close` ends every link with HUB_STOPPING. */
export type Acceptor = Door;

export function createAcceptor(options: AcceptOptions): Acceptor {
  const { key, epoch, heartbeatMs, versions = PROTOCOL_VERSIONS } = options;

  function establish(socket: Socket, channel: Lines, node: Proven, admission: Admission) {
    const { link: generation, credential } = admission;
    channel.send({ type: 'welcome', epoch, link: generation, credential, heartbeatSeconds: heartbeatMs / 1000 });
    channel.release();
    const { nodeId, facts } = node;
    const address = addressOf(socket);
    const link = openLink(clientSession(socket), { nodeId, facts, address, generation, epoch, heartbeatMs });
    try {
      options.onLink(link);
    } catch (error) {
      options.onFault(error);
      link.close(new FederationError('INTERNAL', 'internal error', { cause: error }));
    }
    return (stopping: FederationError) => link.close(stopping);
  }

  return createDoor({
    prove: (channel, knock) => challengeNode(channel, { key, versions, ...knock }),
    strangers: options.strangers,
    admit: (node, visit) => options.admit({ ...node, ...visit }),
    establish,
    onFault: (error) => options.onFault(error),
    unprovenMax: options.unprovenMax,
    handshakeMs: options.handshakeMs,
  });
}

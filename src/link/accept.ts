import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FederationError, errorBody } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import { challengeNode } from '#src/link/challenge.ts';
import { KEEP_ALIVE_MS } from '#src/link/heartbeat.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { Lines } from '#src/link/lines.ts';
import { lines } from '#src/link/lines.ts';
import type { Link } from '#src/link/link.ts';
import { openLink } from '#src/link/link.ts';
import { clientSession } from '#src/link/session.ts';
import { answerRefusal, answerUpgrade, upgradeRefusal } from '#src/link/upgrade.ts';
import { HANDSHAKE_MS } from '#src/protocol/handshake.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

export type { Link } from '#src/link/link.ts';

/** A node that has proved its key and wants a link. */
export interface Applicant {
  readonly nodeId: string;
  readonly publicKey: string;
  readonly facts: NodeFacts;
  /** IP address of the peer. */
  readonly address: string;
  /** The secret of a join token. */
  readonly secret: string | null;
  /** Tells the node that it waits for a person, and lets it: from here on no deadline runs. */
  wait(held: string | null): void;
  /** Aborted when the connection is gone. */
  readonly signal: AbortSignal;
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
  /** Connections that may be open without having proved a key. */
  readonly unprovenMax?: number;
  readonly handshakeMs?: number;
}

export interface Acceptor {
  /** Takes the `upgrade` event of an http.Server for LINK_PATH, whose Host and Origin it has judged. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends every link with HUB_STOPPING and every connection that is not one yet; resolves when all are closed. */
  close(): Promise<void>;
}

export function createAcceptor(options: AcceptOptions): Acceptor {
  const { unprovenMax = 256, handshakeMs = HANDSHAKE_MS, versions = PROTOCOL_VERSIONS } = options;
  const sockets = new Map<Socket, Link | null>();
  /** Connections that have not proved a key yet, with the address that each comes from. */
  const unproven = new Map<Socket, string>();
  let closing = false;

  async function receive(socket: Socket, host: string): Promise<void> {
    const channel = lines(socket);
    const deadline = setTimeout(() => {
      refuse(socket, channel, new FederationError('HANDSHAKE_FAILED', 'the handshake took too long'));
    }, handshakeMs);
    const gone = new AbortController();
    socket.once('close', () => {
      clearTimeout(deadline);
      gone.abort(new FederationError('LINK_LOST', 'the node has gone'));
    });
    try {
      const proven = await prove(socket, channel, host);
      const admission = await options.admit({
        ...proven,
        address: addressOf(socket),
        signal: gone.signal,
        wait(held) {
          clearTimeout(deadline);
          socket.setKeepAlive(true, KEEP_ALIVE_MS);
          channel.send({ type: 'waiting', held });
        },
      });
      clearTimeout(deadline);
      if (socket.writable) establish(socket, channel, proven, admission);
    } catch (error) {
      if (!(error instanceof FederationError)) options.onFault(error);
      refuse(socket, channel, error);
    }
  }

  async function prove(socket: Socket, channel: Lines, host: string) {
    unproven.set(socket, addressOf(socket));
    try {
      return await challengeNode(channel, { key: options.key, versions, host });
    } finally {
      unproven.delete(socket);
    }
  }

  function establish(
    socket: Socket,
    channel: Lines,
    node: { nodeId: string; facts: NodeFacts },
    admission: Admission,
  ): void {
    channel.send({
      type: 'welcome',
      epoch: options.epoch,
      link: admission.link,
      credential: admission.credential,
      heartbeatSeconds: options.heartbeatMs / 1000,
    });
    channel.release();
    const link = openLink(clientSession(socket), {
      nodeId: node.nodeId,
      facts: node.facts,
      address: addressOf(socket),
      generation: admission.link,
      epoch: options.epoch,
      heartbeatMs: options.heartbeatMs,
    });
    sockets.set(socket, link);
    try {
      options.onLink(link);
    } catch (error) {
      options.onFault(error);
      link.close(new FederationError('INTERNAL', 'internal error', { cause: error }));
    }
  }

  return {
    upgrade(request, socket, head) {
      if (!(socket instanceof Socket)) throw new TypeError('a link needs a socket');
      // a socket without a listener ends the process; what its error means is told by `close`
      socket.on('error', () => undefined);
      sockets.set(socket, null);
      socket.once('close', () => sockets.delete(socket));
      if (closing) {
        socket.destroy();
        return;
      }
      if (unproven.size >= unprovenMax) evict(unproven);
      const refusal = upgradeRefusal(request);
      if (refusal !== null) {
        answerRefusal(socket, refusal);
        return;
      }
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      answerUpgrade(socket);
      void receive(socket, request.headers.host ?? '');
    },

    async close() {
      closing = true;
      const stopping = new FederationError('HUB_STOPPING', 'the hub stops');
      const closed = [...sockets].map(([socket, link]) => {
        const closing = new Promise((resolve) => socket.once('close', resolve));
        if (link === null) socket.destroy();
        else link.close(stopping);
        return closing;
      });
      await Promise.all(closed);
    },
  };
}

function refuse(socket: Socket, channel: Lines, error: unknown): void {
  channel.send({ type: 'refused', ...errorBody(error) });
  socket.destroySoon();
}

function addressOf(socket: Socket): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}

/**
 * Makes room: ends one connection of the address that has the most. Whoever holds many idle ones open loses them to
 * newcomers; which one is left to chance, so that nobody can arrange to lose none.
 */
function evict(unproven: ReadonlyMap<Socket, string>): void {
  const byAddress = Map.groupBy(unproven.keys(), (socket) => unproven.get(socket)!);
  const [busiest = []] = [...byAddress.values()].toSorted((a, b) => b.length - a.length);
  busiest[Math.floor(Math.random() * busiest.length)]?.destroy();
}

import type { OutgoingHttpHeaders } from 'node:http';
import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionRequestOptions } from 'node:http2';
import { FederationError } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import { startHeartbeat } from '#src/link/heartbeat.ts';
import type { Carrier } from '#src/link/session.ts';
import { EPOCH_HEADER } from '#src/protocol/worker-api.ts';

/** The hub's end of the connection that a node keeps. */
export interface Link {
  readonly nodeId: string;
  /** Rises with every link of the node. */
  readonly generation: number;
  readonly facts: NodeFacts;
  /** IP address of the peer. */
  readonly address: string;
  readonly state: 'online' | 'suspect';
  /** Of the last PING that was answered. */
  readonly roundTripMs: number | null;
  /**
   * Opens a stream, with the hub's epoch. A stream that ends proves nothing; one that is to be given up must be
   * destroyed with an error. Throws LINK_LOST when the link is closed.
   */
  request(headers: OutgoingHttpHeaders, options?: ClientSessionRequestOptions): ClientHttp2Stream;
  /** Ends the link; every stream on it ends with `error`, and the node is told. */
  close(error: FederationError): void;
  /** Resolves with the cause as soon as the link is of no use. */
  readonly closed: Promise<FederationError>;
  /** Called at each change of `state`. */
  onState(listener: () => void): void;
}

export interface LinkOptions {
  readonly nodeId: string;
  readonly generation: number;
  readonly facts: NodeFacts;
  readonly address: string;
  readonly epoch: number;
  readonly heartbeatMs: number;
}

export function openLink(carrier: Carrier<ClientHttp2Session>, options: LinkOptions): Link {
  const { nodeId, generation, facts, address, epoch, heartbeatMs } = options;
  const listeners: (() => void)[] = [];
  let state: Link['state'] = 'online';
  let roundTripMs: number | null = null;

  startHeartbeat(carrier, {
    everyMs: heartbeatMs,
    onLife(life) {
      if (life === 'lost') carrier.end(new FederationError('LINK_LOST', 'the node no longer answers'));
      else enter(life);
    },
    onRoundTrip(milliseconds) {
      roundTripMs = milliseconds;
    },
  });

  function enter(next: Link['state']): void {
    if (state === next) return;
    state = next;
    for (const listener of listeners) listener();
  }

  return {
    nodeId,
    generation,
    facts,
    address,
    get state() {
      return state;
    },
    get roundTripMs() {
      return roundTripMs;
    },
    request: (headers, streamOptions) =>
      openStream(carrier, { ...headers, [EPOCH_HEADER]: String(epoch) }, streamOptions),
    close: (error) => carrier.end(error),
    closed: carrier.ended,
    onState: (listener) => void listeners.push(listener),
  };
}

function openStream(
  { session, end }: Carrier<ClientHttp2Session>,
  headers: OutgoingHttpHeaders,
  options: ClientSessionRequestOptions | undefined,
): ClientHttp2Stream {
  if (session.destroyed || session.closed) throw new FederationError('LINK_LOST', 'the link is closed');
  try {
    const stream = session.request(headers, options);
    // who reads the stream hears of its error too; a stream that nobody reads any more must not end the hub
    stream.on('error', () => undefined);
    return stream;
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_HTTP2_OUT_OF_STREAMS')) throw cause;
    const error = new FederationError('LINK_LOST', 'the link is used up', { cause });
    end(error);
    throw error;
  }
}

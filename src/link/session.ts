import type { ClientHttp2Session, Http2Session, ServerHttp2Session } from 'node:http2';
import { connect, constants, performServerHandshake } from 'node:http2';
import type { Socket } from 'node:net';
import { FederationError, errorBody } from '#src/core/errors.ts';
import { judgementSchema } from '#src/protocol/handshake.ts';

/** What one stalled reader may hold of our memory: a budget over all is this, times the streams that are open. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
/** Node gives the connection's window back as bytes arrive, so it bounds a round trip and not memory. */
export const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
/** In megabytes. Above it Node refuses new streams; ten writes of a megabyte that wait reach its default. */
const SESSION_MEMORY_MB = 128;
/** A cancelled broadcast is a burst of resets; Node's own limit of a thousand would end the whole session. */
const STREAM_RESET_BURST = 100_000;
const STREAM_RESET_RATE = 10_000;
/** Time for the last words to leave. A peer that reads nothing would hold the socket for ever. */
const FAREWELL_MS = 250;

const SETTINGS = { initialWindowSize: STREAM_WINDOW_BYTES, enablePush: false };

export interface Carrier<S extends Http2Session> {
  readonly session: S;
  readonly socket: Socket;
  /** Resolves, with the first cause, as soon as the session is of no use. It never rejects. */
  readonly ended: Promise<FederationError>;
  /** Ends the session and, with the error, every stream on it; tells the other side why. */
  readonly end: (error: FederationError) => void;
}

/** The hub's end of a link. */
export function clientSession(socket: Socket): Carrier<ClientHttp2Session> {
  const session = connect('http://node', {
    createConnection: () => socket,
    settings: SETTINGS,
    maxSessionMemory: SESSION_MEMORY_MB,
  });
  return carry(session, socket, () => new FederationError('LINK_LOST', 'the node closed the link'));
}

/** The node's end of a link. */
export function serverSession(socket: Socket): Carrier<ServerHttp2Session> {
  const session = performServerHandshake(socket, {
    settings: SETTINGS,
    maxSessionMemory: SESSION_MEMORY_MB,
    streamResetBurst: STREAM_RESET_BURST,
    streamResetRate: STREAM_RESET_RATE,
  });
  return carry(session, socket, lastWords);
}

/** Whatever happens to the socket destroys the session with an error: without one its streams would end as if whole. */
function carry<S extends Http2Session>(
  session: S,
  socket: Socket,
  reasonIn: (data: Buffer) => FederationError,
): Carrier<S> {
  const { promise: ended, resolve } = Promise.withResolvers<FederationError>();
  let over = false;

  function finish(error: FederationError): void {
    if (over) return;
    over = true;
    resolve(error);
    session.destroy(error);
    if (socket.closed) return;
    const farewell = setTimeout(() => socket.destroy(error), FAREWELL_MS);
    socket.once('close', () => clearTimeout(farewell));
  }
  function lose(cause?: unknown): void {
    finish(new FederationError('LINK_LOST', 'the link was lost', cause === undefined ? {} : { cause }));
  }

  socket.on('end', () => lose());
  // before the session's own listeners, which would end its streams with another error, or with none
  socket.prependListener('error', lose);
  socket.prependListener('close', () => lose());
  session.on('error', lose);
  session.on('close', () => lose());
  session.on('goaway', (_code, _lastStream, data: Uint8Array | undefined) => finish(reasonIn(Buffer.from(data ?? []))));
  session.once('connect', () => {
    if (!over) session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
  });
  socket.setNoDelay(true);

  return {
    session,
    socket,
    ended,
    end(error) {
      if (!over && !session.destroyed) sayWhy(session, error);
      finish(error);
    },
  };
}

function sayWhy(session: Http2Session, error: FederationError): void {
  const words = JSON.stringify({ type: 'refused', ...errorBody(error) });
  session.goaway(constants.NGHTTP2_INTERNAL_ERROR, 0, Buffer.from(words));
}

/** Why the hub ended the link: the same words as in the handshake. */
function lastWords(data: Buffer): FederationError {
  try {
    const said = judgementSchema.parse(JSON.parse(data.toString('utf8')));
    if (said.type === 'refused') return new FederationError(said.code, said.message, said);
  } catch (cause) {
    return new FederationError('LINK_LOST', 'the hub closed the link', { cause });
  }
  return new FederationError('LINK_LOST', 'the hub closed the link');
}

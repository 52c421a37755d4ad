import type { Socket } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import { Refusal, answerChallenge, refusal } from '#src/link/challenge.ts';
import type { DialOptions } from '#src/link/dial.ts';
import { KEEP_ALIVE_MS, watchSilence } from '#src/link/heartbeat.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { KeyPair } from '#src/link/key.ts';
import { knock } from '#src/link/knock.ts';
import type { Lines } from '#src/link/lines.ts';
import { lines } from '#src/link/lines.ts';
import { serverSession } from '#src/link/session.ts';
import type { Welcome } from '#src/protocol/handshake.ts';
import { HANDSHAKE_MS, judgementSchema } from '#src/protocol/handshake.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

/** How one connection ended, and how far it had come. */
export interface Ending {
  readonly error: FederationError;
  readonly reached: 'nothing' | 'waiting' | 'welcome';
  readonly refused: boolean;
  /** Whether the hub had proved its key by then. */
  readonly proven: boolean;
}

/** How far a connection has come. */
interface Attempt {
  reached: Ending['reached'];
  proven: boolean;
}

/** One connection, from the first packet to its end. It never rejects. */
export async function holdLink(options: DialOptions, key: KeyPair): Promise<Ending> {
  const attempt: Attempt = { reached: 'nothing', proven: false };
  let socket: Socket | null = null;
  const { handshakeMs = HANDSHAKE_MS, signal } = options;
  try {
    socket = await knock(options.hub, options.lookup, AbortSignal.any([signal, AbortSignal.timeout(handshakeMs)]));
    return { error: await serve(options, key, socket, attempt), refused: false, ...attempt };
  } catch (error) {
    socket?.destroy();
    if (error instanceof Refusal) return { error: error.error, refused: true, ...attempt };
    return { error: asFederationError(error), refused: false, ...attempt };
  }
}

function asFederationError(error: unknown): FederationError {
  if (error instanceof FederationError) return error;
  return new FederationError('INTERNAL', 'the link failed inside this node', { cause: error });
}

/** From the upgraded socket to the link's end; resolves to its cause. */
async function serve(options: DialOptions, key: KeyPair, socket: Socket, attempt: Attempt): Promise<FederationError> {
  const { signal } = options;
  const stop = () => socket.destroy(new FederationError('LINK_LOST', 'the worker daemon stops'));
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    const channel = lines(socket);
    const { welcome, hubId } = await enter(options, key, socket, channel, attempt);
    channel.release();
    attempt.reached = 'welcome';
    await options.onWelcome(welcome, hubId, socket.remoteAddress ?? '');
    if (socket.destroyed) throw new FederationError('LINK_LOST', 'the link was lost');
    signal.removeEventListener('abort', stop);
    return await serveStreams(options, socket, welcome, hubId);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function enter(options: DialOptions, key: KeyPair, socket: Socket, channel: Lines, attempt: Attempt) {
  const deadline = setTimeout(() => {
    socket.destroy(new FederationError('HANDSHAKE_FAILED', 'the handshake took too long'));
  }, options.handshakeMs ?? HANDSHAKE_MS);
  try {
    const hubId = await answerChallenge(channel, {
      key,
      versions: options.versions ?? PROTOCOL_VERSIONS,
      host: hubAddressText(options.hub),
      pin: options.pin(),
      facts: options.facts(),
      secret: options.secret(),
    });
    attempt.proven = true;
    for (;;) {
      const judgement = await channel.next(judgementSchema);
      if (judgement.type === 'welcome') return { welcome: judgement, hubId };
      if (judgement.type === 'refused') throw refusal(judgement);
      clearTimeout(deadline);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      attempt.reached = 'waiting';
      options.onEvent({ type: 'waiting', held: judgement.held, hubId });
    }
  } finally {
    clearTimeout(deadline);
  }
}

async function serveStreams(
  options: DialOptions,
  socket: Socket,
  welcome: Welcome,
  hubId: string,
): Promise<FederationError> {
  const { signal } = options;
  const carrier = serverSession(socket);
  const stop = () => carrier.end(new FederationError('LINK_LOST', 'the worker daemon stops'));
  carrier.session.on('stream', (stream, headers, _flags, raw) => {
    // who reads the stream hears of its error too; one that nobody reads any more must not end the daemon
    stream.on('error', () => undefined);
    options.onStream(stream, headers, raw);
  });
  watchSilence(carrier, welcome.heartbeatSeconds * 1000, () => {
    carrier.end(new FederationError('LINK_LOST', 'the hub no longer answers'));
  });
  signal.addEventListener('abort', stop, { once: true });
  options.onEvent({ type: 'welcome', welcome, hubId });
  try {
    const error = await carrier.ended;
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
    return error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { FederationError, exitCodeOf } from '#src/core/errors.ts';
import type { NodeFacts } from '#src/core/node.ts';
import type { BackOff } from '#src/link/back-off.ts';
import { BACK_OFF, patientDelayMs, retryDelayMs } from '#src/link/back-off.ts';
import { Refusal, answerChallenge } from '#src/link/challenge.ts';
import { KEEP_ALIVE_MS, watchSilence } from '#src/link/heartbeat.ts';
import type { KeyPair } from '#src/link/key.ts';
import type { HubAddress } from '#src/link/knock.ts';
import { hostHeader, knock } from '#src/link/knock.ts';
import type { Lines } from '#src/link/lines.ts';
import { lines } from '#src/link/lines.ts';
import { serverSession } from '#src/link/session.ts';
import type { Welcome } from '#src/protocol/handshake.ts';
import { HANDSHAKE_MS, judgementSchema } from '#src/protocol/handshake.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

export interface DialOptions {
  readonly hub: HubAddress;
  readonly key: KeyPair;
  /** Id of the hub that must be met; null takes the first and reports its id. */
  pin(): string | null;
  facts(): NodeFacts;
  /** Secret of a join token; it is sent to the pinned hub alone. */
  secret(): string | null;
  /** No stream is served before it resolves. What it throws (EPOCH_STALE) drops the link. */
  onWelcome(welcome: Welcome, hubId: string): Promise<void>;
  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void;
  onEvent(event: DialEvent): void;
  readonly versions?: readonly number[];
  readonly backOff?: BackOff;
  readonly handshakeMs?: number;
  readonly signal: AbortSignal;
}

export type DialEvent =
  | { readonly type: 'connecting' }
  | { readonly type: 'waiting'; readonly held: string | null; readonly hubId: string }
  | { readonly type: 'welcome'; readonly welcome: Welcome; readonly hubId: string }
  | { readonly type: 'refused'; readonly error: FederationError }
  | { readonly type: 'lost'; readonly error: FederationError; readonly retryInMs: number };

/** How one connection ended, and how far it had come. */
interface Ending {
  readonly error: FederationError;
  readonly reached: 'nothing' | 'waiting' | 'welcome';
  readonly refused: boolean;
}

/** Keeps a link to the hub until the signal is aborted; resolves then. No failure of the hub or the network ends it. */
export async function keepLink(options: DialOptions): Promise<void> {
  const { signal, onEvent, backOff = BACK_OFF } = options;
  let failures = 0;
  while (!signal.aborted) {
    onEvent({ type: 'connecting' });
    const ending = await holdLink(options);
    if (signal.aborted) return;
    if (ending.reached !== 'nothing') failures = 0;
    const retryInMs = mustBePatient(ending) ? patientDelayMs(backOff, Math.random()) : retryDelayMs(backOff, failures, Math.random());
    failures += 1;
    if (ending.refused) onEvent({ type: 'refused', error: ending.error });
    else onEvent({ type: 'lost', error: ending.error, retryInMs });
    await sleep(retryInMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Whether only a person can change the answer. A hub that fails or restarts is met again soon. */
function mustBePatient({ error, reached, refused }: Ending): boolean {
  if (reached === 'waiting' && !refused) return true;
  // two daemons with one key would take the link from each other without end
  if (error.code === 'LINK_REPLACED') return true;
  return refused && exitCodeOf(error.code) !== 1;
}

async function holdLink(options: DialOptions): Promise<Ending> {
  const attempt: { reached: Ending['reached'] } = { reached: 'nothing' };
  let socket: Socket | null = null;
  const { handshakeMs = HANDSHAKE_MS, signal } = options;
  try {
    socket = await knock(options.hub, AbortSignal.any([signal, AbortSignal.timeout(handshakeMs)]));
    return { error: await serve(options, socket, attempt), reached: attempt.reached, refused: false };
  } catch (error) {
    socket?.destroy();
    if (error instanceof Refusal) return { error: error.error, reached: attempt.reached, refused: true };
    return { error: asFederationError(error), reached: attempt.reached, refused: false };
  }
}

function asFederationError(error: unknown): FederationError {
  if (error instanceof FederationError) return error;
  return new FederationError('INTERNAL', 'the link failed inside this node', { cause: error });
}

/** From the upgraded socket to the link's end; resolves to its cause. */
async function serve(options: DialOptions, socket: Socket, attempt: { reached: Ending['reached'] }): Promise<FederationError> {
  const { signal } = options;
  const stop = () => socket.destroy(new FederationError('LINK_LOST', 'the worker daemon stops'));
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    const channel = lines(socket);
    const { welcome, hubId } = await enter(options, socket, channel, attempt);
    channel.release();
    await options.onWelcome(welcome, hubId);
    attempt.reached = 'welcome';
    if (socket.destroyed) throw new FederationError('LINK_LOST', 'the link was lost');
    signal.removeEventListener('abort', stop);
    return await serveStreams(options, socket, welcome, hubId);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function enter(options: DialOptions, socket: Socket, channel: Lines, attempt: { reached: Ending['reached'] }) {
  const deadline = setTimeout(() => {
    socket.destroy(new FederationError('HANDSHAKE_FAILED', 'the handshake took too long'));
  }, options.handshakeMs ?? HANDSHAKE_MS);
  try {
    const hubId = await answerChallenge(channel, {
      key: options.key,
      versions: options.versions ?? PROTOCOL_VERSIONS,
      host: hostHeader(options.hub),
      pin: options.pin(),
      facts: options.facts(),
      secret: options.secret(),
    });
    for (;;) {
      const judgement = await channel.next(judgementSchema);
      if (judgement.type === 'welcome') return { welcome: judgement, hubId };
      if (judgement.type === 'refused') throw new Refusal(new FederationError(judgement.code, judgement.message, judgement));
      clearTimeout(deadline);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      attempt.reached = 'waiting';
      options.onEvent({ type: 'waiting', held: judgement.held, hubId });
    }
  } finally {
    clearTimeout(deadline);
  }
}

async function serveStreams(options: DialOptions, socket: Socket, welcome: Welcome, hubId: string): Promise<FederationError> {
  const { signal, onStream, onEvent } = options;
  const carrier = serverSession(socket);
  const stop = () => carrier.end(new FederationError('LINK_LOST', 'the worker daemon stops'));
  carrier.session.on('stream', (stream, headers) => {
    // who reads the stream hears of its error too; one that nobody reads any more must not end the daemon
    stream.on('error', () => undefined);
    onStream(stream, headers);
  });
  watchSilence(carrier, welcome.heartbeatSeconds * 1000, () => {
    carrier.end(new FederationError('LINK_LOST', 'the hub no longer answers'));
  });
  signal.addEventListener('abort', stop, { once: true });
  onEvent({ type: 'welcome', welcome, hubId });
  try {
    return await carrier.ended;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

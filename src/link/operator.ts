import type { LookupFunction, Socket } from 'node:net';
import { FederationError } from '#src/core/errors.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import type { MetHub } from '#src/link/challenge.ts';
import { Refusal, meetHub, refusal } from '#src/link/challenge.ts';
import { KEEP_ALIVE_MS, watchSilence } from '#src/link/heartbeat.ts';
import type { KeyPair } from '#src/link/key.ts';
import { knock } from '#src/link/knock.ts';
import type { Lines } from '#src/link/lines.ts';
import { lines } from '#src/link/lines.ts';
import { HANDSHAKE_MS } from '#src/protocol/handshake.ts';
import type { OperatorProof, OperatorWelcome } from '#src/protocol/operator-handshake.ts';
import { aliveOrRefusedSchema, operatorJudgementSchema, OPERATOR_PATH } from '#src/protocol/operator-handshake.ts';
import { PROTOCOL_VERSIONS } from '#src/protocol/version.ts';

export interface OperatorDial {
  readonly hub: HubAddress;
  readonly lookup: LookupFunction;
  readonly key: KeyPair;
  readonly signal: AbortSignal;
}

export interface OperatorEntry extends OperatorDial {
  /** Id that the hub must prove before this side does. */
  readonly pin: string;
  readonly self: Omit<OperatorProof, 'type' | 'signature'>;
  /** The hub knows it, and a person has to let it in. */
  onWaiting?(held: string | null): void;
}

/** The connection that an operator's credential lives by. */
export interface OperatorConnection {
  readonly name: string;
  readonly credential: string;
  /** IP address of the hub that proved its key. */
  readonly address: string;
  /** Aborted, with a FederationError that says why, when it is over. */
  readonly lost: AbortSignal;
  close(): void;
}

/**
 * Id of the hub there, which has proved its key; the public key is all that it is told. Rejects with HUB_UNREACHABLE,
 * HANDSHAKE_FAILED, VERSION_UNSUPPORTED or LINK_LOST.
 */
export async function meetHubAt(dial: OperatorDial): Promise<string> {
  const visit = await enter(dial, null);
  visit.socket.destroy();
  visit.leave();
  return visit.met.hubId;
}

/**
 * Proves the key to the hub that is pinned, and resolves when it is let in. Beyond what `meetHubAt` says it rejects with
 * HUB_KEY_MISMATCH and with the hub's no. The connection keeps no process alive.
 */
export async function enterAsOperator(entry: OperatorEntry): Promise<OperatorConnection> {
  const { socket, channel, met, patience, leave } = await enter(entry, entry.pin);
  try {
    channel.send({ type: 'proof', signature: met.sign(), ...entry.self });
    for (;;) {
      const judgement = await channel.next(operatorJudgementSchema);
      if (judgement.type === 'refused') throw refusal(judgement);
      if (judgement.type === 'welcome') return hold(socket, channel, judgement);
      clearTimeout(patience);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      entry.onWaiting?.(judgement.held);
    }
  } catch (error) {
    socket.destroy();
    throw error instanceof Refusal ? error.error : error;
  } finally {
    leave();
  }
}

interface Visit {
  readonly socket: Socket;
  readonly channel: Lines;
  readonly met: MetHub;
  /** What runs out where the hub says nothing. */
  readonly patience: NodeJS.Timeout;
  /** Ends what watches over the handshake. */
  leave(): void;
}

async function enter({ hub, lookup, key, signal }: OperatorDial, pin: string | null): Promise<Visit> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(HANDSHAKE_MS)]);
  const socket = await knock(hub, lookup, inTime, OPERATOR_PATH);
  const patience = setTimeout(() => {
    socket.destroy(new FederationError('HANDSHAKE_FAILED', 'the handshake took too long'));
  }, HANDSHAKE_MS);
  const stop = () => socket.destroy(new FederationError('LINK_LOST', 'it was stopped'));
  const leave = () => {
    clearTimeout(patience);
    signal.removeEventListener('abort', stop);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    const channel = lines(socket);
    const dialler = { key, versions: PROTOCOL_VERSIONS, host: hubAddressText(hub), pin };
    return { socket, channel, met: await meetHub(channel, dialler, 'operator'), patience, leave };
  } catch (error) {
    leave();
    socket.destroy();
    throw error instanceof Refusal ? error.error : error;
  }
}

function hold(socket: Socket, channel: Lines, welcome: OperatorWelcome): OperatorConnection {
  const over = new AbortController();
  const end = (error: FederationError): void => {
    if (!over.signal.aborted) over.abort(error);
    socket.destroy();
  };
  socket.unref();
  const ended = new Promise<void>((resolve) => over.signal.addEventListener('abort', () => resolve()));
  watchSilence({ socket, ended }, welcome.heartbeatSeconds * 1000, () => end(lost()));
  void follow(channel).catch((error: unknown) => end(error instanceof Refusal ? error.error : lost(error)));
  return {
    name: welcome.name,
    credential: welcome.credential,
    address: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    lost: over.signal,
    close: () => end(new FederationError('LINK_LOST', 'the connection was closed')),
  };
}

/** Answers each sign of life of the hub. Rejects when the connection is over. */
async function follow(channel: Lines): Promise<never> {
  for (;;) {
    const line = await channel.next(aliveOrRefusedSchema);
    if (line.type === 'refused') throw refusal(line);
    channel.send({ type: 'alive' });
  }
}

function lost(cause?: unknown): FederationError {
  return new FederationError('HUB_UNREACHABLE', 'the connection to the hub was lost', {
    hint: 'tailscale status, and on the master: manage-federation status',
    ...(cause === undefined ? {} : { cause }),
  });
}

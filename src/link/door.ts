import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FederationError, errorBody } from '#src/core/errors.ts';
import { KEEP_ALIVE_MS } from '#src/link/heartbeat.ts';
import type { Lines } from '#src/link/lines.ts';
import { lines } from '#src/link/lines.ts';
import { answerRefusal, answerUpgrade, upgradeRefusal } from '#src/link/upgrade.ts';
import type { Turnstile } from '#src/link/turnstile.ts';
import { HANDSHAKE_MS } from '#src/protocol/handshake.ts';

/** One who stands at the door and has proved a key. */
export interface Visit {
  /** IP address of the peer. */
  readonly address: string;
  /** Tells the other side that it waits for a person, and lets it: from here on no deadline runs. */
  wait(held: string | null): void;
  /** Aborted when the connection is gone. */
  readonly signal: AbortSignal;
}

/** One who has not proved a key yet. */
export interface Knock {
  /** Host header of the upgrade. */
  readonly host: string;
  /** Resolves when one who claims this key may prove it. */
  turn(keyId: string): Promise<void>;
}

/** Those whose key is nobody's. */
export interface Strangers {
  isKnown(keyId: string): boolean;
  readonly turnstile: Turnstile;
}

export interface DoorOptions<Proven, Admission> {
  /** The handshake up to the proof. */
  prove(channel: Lines, knock: Knock): Promise<Proven>;
  /** A FederationError refuses with its words, anything else as INTERNAL. */
  admit(proven: Proven, visit: Visit): Promise<Admission>;
  /** Takes the connection over; what it returns ends it when the hub stops. */
  establish(socket: Socket, channel: Lines, proven: Proven, admission: Admission): (stopping: FederationError) => void;
  /** Takes what was thrown and is no FederationError. */
  onFault(error: unknown): void;
  /** Connections that may be open without having proved a key. */
  readonly unprovenMax?: number | undefined;
  readonly strangers?: Strangers | undefined;
  readonly handshakeMs?: number | undefined;
}

/** Where handshakes come in at the hub, and what holds for all of them. */
export interface Door {
  /** Takes the `upgrade` event of an http.Server whose Host and Origin it has judged. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends every connection, with HUB_STOPPING where it was established; resolves when all are closed. */
  close(): Promise<void>;
}

/** A whole fleet that comes back at once fits; each costs little more than its socket. */
const UNPROVEN_MAX = 256;

export function createDoor<Proven, Admission>(options: DoorOptions<Proven, Admission>): Door {
  const { unprovenMax = UNPROVEN_MAX, handshakeMs = HANDSHAKE_MS, strangers } = options;
  /** Every connection, with what ends it where it is established. */
  const sockets = new Map<Socket, ((stopping: FederationError) => void) | null>();
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
      gone.abort(new FederationError('LINK_LOST', 'the other side has gone'));
    });
    try {
      const proven = await prove(socket, channel, host, gone.signal);
      const admission = await options.admit(proven, {
        address: addressOf(socket),
        signal: gone.signal,
        wait(held) {
          clearTimeout(deadline);
          socket.setKeepAlive(true, KEEP_ALIVE_MS);
          channel.send({ type: 'waiting', held });
        },
      });
      clearTimeout(deadline);
      if (socket.writable) sockets.set(socket, options.establish(socket, channel, proven, admission));
    } catch (error) {
      if (!(error instanceof FederationError)) options.onFault(error);
      refuse(socket, channel, error);
    }
  }

  async function prove(socket: Socket, channel: Lines, host: string, signal: AbortSignal): Promise<Proven> {
    const address = addressOf(socket);
    unproven.set(socket, address);
    try {
      return await options.prove(channel, {
        host,
        async turn(keyId) {
          if (strangers?.isKnown(keyId) === false) await strangers.turnstile.pass(address, signal);
        },
      });
    } finally {
      unproven.delete(socket);
    }
  }

  return {
    upgrade(request, socket, head) {
      if (!(socket instanceof Socket)) throw new TypeError('a handshake needs a socket');
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
      const closed = [...sockets].map(([socket, end]) => {
        const over = new Promise((resolve) => socket.once('close', resolve));
        if (end === null) socket.destroy();
        else end(stopping);
        return over;
      });
      await Promise.all(closed);
    },
  };
}

/** The last words of the hub to one who is not let in, or no longer. */
export function refuse(socket: Socket, channel: Lines, error: unknown): void {
  channel.send({ type: 'refused', ...errorBody(error) });
  socket.destroySoon();
}

/** IP address of the peer; a listener on every address shows IPv4 as IPv6. */
export function addressOf(socket: Socket): string {
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

import type { ClientHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Carrier } from '#src/link/session.ts';

/** How often it is looked, in the time of one heartbeat, whether anything came. */
const LOOKS = 4;
/** Looks in a row that found nothing: at a heartbeat of 5 s the doubt comes after 6.25 to 7.5 s of silence. */
const SUSPECT_LOOKS = 5;
/** At a heartbeat of 5 s the end comes after 12.5 to 13.75 s, with two PINGs unanswered. */
const LOST_LOOKS = 10;

/** TCP's own probe, for a connection that waits for approval: HTTP/2 and its PING come later. */
export const KEEP_ALIVE_MS = 30_000;

/** One that is watched until it has ended. */
export interface Connection {
  readonly socket: Pick<Socket, 'bytesRead'>;
  readonly ended: Promise<unknown>;
}

export interface HeartbeatOptions {
  readonly everyMs: number;
  /** At each look, and at each PING that is answered. */
  onLife(life: 'online' | 'suspect' | 'lost'): void;
  onRoundTrip(milliseconds: number): void;
}

/** PINGs until the link ends. */
export function startHeartbeat(carrier: Carrier<ClientHttp2Session>, options: HeartbeatOptions): void {
  const { session } = carrier;
  ping();
  listen(carrier, options.everyMs, (silent, looks) => {
    if (looks % LOOKS === 0) ping();
    if (silent >= LOST_LOOKS) options.onLife('lost');
    else options.onLife(silent >= SUSPECT_LOOKS ? 'suspect' : 'online');
  });

  function ping(): void {
    if (session.destroyed) return;
    session.ping((error: Error | null, milliseconds) => {
      if (error !== null) return;
      options.onRoundTrip(milliseconds);
      options.onLife('online');
    });
  }
}

/** Calls `onSilence` when nothing has come for as long as the hub would bear it, until the link ends. */
export function watchSilence(carrier: Connection, heartbeatMs: number, onSilence: () => void): void {
  listen(carrier, heartbeatMs, (silent) => {
    if (silent >= LOST_LOOKS) onSilence();
  });
}

/**
 * Counts looks in a row that found nothing new. Bytes of any kind are a sign of life: on a slow uplink the answer waits
 * behind a node's output, and that node is not lost. Looks are counted, and no time is measured: to a process that was
 * stopped itself, however long, that is one look.
 */
function listen({ socket, ended }: Connection, everyMs: number, onLook: (silent: number, looks: number) => void): void {
  let looks = 0;
  let silent = 0;
  let seen = socket.bytesRead;
  const timer = setTimeout(look, everyMs / LOOKS).unref();
  void ended.then(() => clearTimeout(timer));

  function look(): void {
    timer.refresh();
    const now = socket.bytesRead;
    silent = now === seen ? silent + 1 : 0;
    seen = now;
    looks += 1;
    onLook(silent, looks);
  }
}

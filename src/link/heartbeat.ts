import type { ClientHttp2Session, ServerHttp2Session } from 'node:http2';
import type { Carrier } from '#src/link/session.ts';

/** Intervals in a row without a sign of life that end a link. */
export const MISSES_TO_LOSE = 3;
/** Heartbeats of silence after which a node gives its hub up. */
const SILENT_HEARTBEATS = 4;
const SILENCE_MARGIN_MS = 500;

/** TCP's own probe, for a connection that waits for approval: HTTP/2 and its PING come later. */
export const KEEP_ALIVE_MS = 30_000;

export interface HeartbeatOptions {
  readonly everyMs: number;
  /** Intervals in a row that passed without a sign of life; 0 after each sign. */
  onMisses(misses: number): void;
  onRoundTrip(milliseconds: number): void;
}

/**
 * PINGs until the link ends. Bytes of any kind are a sign of life: on a slow uplink the answer waits behind a node's
 * output, and that node is not lost.
 */
export function startHeartbeat(
  { session, socket, ended }: Carrier<ClientHttp2Session>,
  options: HeartbeatOptions,
): void {
  let misses = 0;
  let seen = socket.bytesRead;
  const timer = setTimeout(tick, options.everyMs).unref();
  void ended.then(() => clearTimeout(timer));
  ping();

  function tick(): void {
    timer.refresh();
    misses = socket.bytesRead === seen ? misses + 1 : 0;
    seen = socket.bytesRead;
    ping();
    options.onMisses(misses);
  }

  function ping(): void {
    if (session.destroyed) return;
    session.ping((error: Error | null, milliseconds) => {
      if (error !== null) return;
      misses = 0;
      options.onRoundTrip(milliseconds);
      options.onMisses(0);
    });
  }
}

/** Calls `onSilence` when nothing has come for about four heartbeats, until the link ends. */
export function watchSilence(
  { session, socket, ended }: Carrier<ServerHttp2Session>,
  heartbeatMs: number,
  onSilence: () => void,
): void {
  let seen = socket.bytesRead;
  const timer = setTimeout(check, SILENT_HEARTBEATS * heartbeatMs + SILENCE_MARGIN_MS).unref();
  void ended.then(() => clearTimeout(timer));
  session.on('ping', alive);

  function alive(): void {
    seen = socket.bytesRead;
    timer.refresh();
  }

  function check(): void {
    if (socket.bytesRead === seen) onSilence();
    else alive();
  }
}

import type { WebSocket } from 'ws';

export type Judged =
  | { readonly ok: true; readonly frame: Buffer | string }
  | { readonly ok: false; readonly reason: string }
  /** It goes no further, and the first end gets this in its place. */
  | { readonly ok: false; readonly answer: string };

export interface RelayOptions {
  /**
   * Judges the frames of the first end; all pass as they are otherwise. One that is refused without an answer closes that
   * end with 1008, and nothing more reaches the second.
   */
  readonly judge?: (data: Buffer, binary: boolean) => Judged;
  /** Sees the frames of the second end before they go on. */
  readonly watch?: (data: Buffer) => void;
}

const HIGH_WATER_BYTES = 1_048_576;
/** How long an end may take nothing while frames wait for it. */
const STALL_MS = 60_000;
const REFUSED = 1008;

/**
 * Joins two open WebSockets: frames, pings, pongs and the end of either pass to the other, and a slow reader
 * slows its writer. Pings are not answered here, so that each end learns whether the other one lives.
 */
export function relay(first: WebSocket, second: WebSocket, { judge, watch }: RelayOptions = {}): void {
  let refused = false;
  forward(first, second, (data, binary) => {
    if (refused) return null;
    const judged = judge?.(data, binary) ?? { ok: true, frame: data };
    if (judged.ok) return judged.frame;
    if ('answer' in judged) {
      if (first.bufferedAmount > HIGH_WATER_BYTES) first.terminate();
      else if (first.readyState === first.OPEN) first.send(judged.answer);
      return null;
    }
    refused = true;
    second.terminate();
    first.close(REFUSED, judged.reason);
    return null;
  });
  forward(second, first, (data) => {
    watch?.(data);
    return data;
  });
}

/** `pass` gives what a frame becomes on its way; null: it goes no further. */
function forward(
  from: WebSocket,
  to: WebSocket,
  pass: (data: Buffer, binary: boolean) => Buffer | string | null,
): void {
  let stalled: NodeJS.Timeout | null = null;

  from.on('message', (data: Buffer, binary: boolean) => {
    const passed = pass(data, binary);
    if (passed === null || to.readyState !== to.OPEN) return;
    to.send(passed, { binary }, drained);
    if (to.bufferedAmount <= HIGH_WATER_BYTES || stalled !== null) return;
    from.pause();
    stalled = setTimeout(() => {
      from.terminate();
      to.terminate();
    }, STALL_MS);
    stalled.unref();
  });

  function drained(): void {
    if (stalled === null) return;
    stalled.refresh();
    if (to.bufferedAmount <= HIGH_WATER_BYTES / 2) release();
  }

  function release(): void {
    if (stalled !== null) clearTimeout(stalled);
    stalled = null;
    from.resume();
  }

  from.on('ping', (data) => {
    if (to.readyState === to.OPEN) to.ping(data);
  });
  from.on('pong', (data) => {
    if (to.readyState === to.OPEN) to.pong(data);
  });
  // The close follows, and its code says enough to the other end.
  from.on('error', () => undefined);
  from.on('close', (code, reason) => {
    release();
    end(to, code, reason);
  });
  to.on('close', release);
}

/** 1005 (no code) and 1006 (no close frame) are never sent; 1015 neither. */
function end(socket: WebSocket, code: number, reason: Buffer): void {
  // A paused socket would not see the answer to its close frame.
  socket.resume();
  if (code === 1005) socket.close();
  else if (code === 1006 || code === 1015) socket.close(1001, 'the other end was lost');
  else socket.close(code, reason);
}

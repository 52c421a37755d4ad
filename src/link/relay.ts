import type { WebSocket } from 'ws';

/** What a frame becomes on its way; null: it goes no further. */
export type Pass = (data: Buffer, binary: boolean) => Buffer | string | null;

export interface RelayOptions {
  /** Judges the frames of the first end; they pass as they are otherwise. */
  readonly pass?: Pass;
  /** Sees the frames of the second end before they go on. */
  readonly watch?: (data: Buffer) => void;
}

const HIGH_WATER_BYTES = 1_048_576;
/** How long an end may take nothing while frames wait for it. */
const STALL_MS = 60_000;

/**
 * Joins two open WebSockets: frames, pings, pongs and the end of either pass to the other, and a slow reader
 * slows its writer. Pings are not answered here, so that each end learns whether the other one lives.
 */
export function relay(first: WebSocket, second: WebSocket, { pass, watch }: RelayOptions = {}): void {
  forward(first, second, pass ?? ((data) => data));
  forward(second, first, (data) => {
    watch?.(data);
    return data;
  });
}

function forward(from: WebSocket, to: WebSocket, pass: Pass): void {
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
  // The close follows; the code alone says enough to the other end.
  from.on('error', () => undefined);
  from.on('close', (code, reason) => {
    if (stalled !== null) clearTimeout(stalled);
    end(to, code, reason);
  });
  to.on('close', release);
}

/** 1005 (no code) and 1006 (no close frame) are never sent; 1015 neither. */
function end(socket: WebSocket, code: number, reason: Buffer): void {
  if (socket.readyState === socket.CLOSED) return;
  // A paused socket would not see the answer to its close frame.
  socket.resume();
  if (code === 1005) socket.close();
  else if (code === 1006 || code === 1015) socket.close(1001, 'the other end was lost');
  else socket.close(code, reason);
}

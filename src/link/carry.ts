import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { relay } from '#src/link/relay.ts';
import type { RelayOptions } from '#src/link/relay.ts';

/** A WebSocket that asks to be carried on to `url`. */
export interface CarryOptions extends RelayOptions {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `url` took no connection; the one who asks got 502. */
  readonly onUnreachable: (problem: string) => void;
  readonly onEnd: () => void;
}

/** The limit of one frame at OpenClaw's gateway. */
const SOCKET = { maxPayload: 26_214_400, perMessageDeflate: false, autoPong: false };
const DIAL_MS = 10_000;

const acceptor = new WebSocketServer({ ...SOCKET, noServer: true, clientTracking: false });

/** Dials first, and accepts when that worked. Returns what ends both at once. */
export function carry({ request, socket, head, url, headers, onUnreachable, onEnd, ...judges }: CarryOptions) {
  const far = new WebSocket(url, { ...SOCKET, headers, handshakeTimeout: DIAL_MS });
  let near: WebSocket | null = null;

  socket.once('close', () => {
    if (near === null) far.terminate();
    onEnd();
  });
  far.on('error', (error) => {
    if (near !== null || socket.destroyed) return;
    onUnreachable(error.message);
    turnAway(socket, '502 Bad Gateway');
  });
  far.once('open', () => {
    if (socket.destroyed) return far.terminate();
    // In the same turn, so that no frame of the far end is missed.
    acceptor.handleUpgrade(request, socket, head, (accepted) => {
      near = accepted;
      relay(accepted, far, judges);
    });
    // ws itself refused: not a handshake of version 13.
    if (near === null) far.terminate();
  });

  return (): void => {
    near?.terminate();
    far.terminate();
    socket.destroy();
  };
}

/** Whether a request is one for a WebSocket at all. */
export function asksForWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';
}

/** Answers an upgrade request with a status such as `403 Forbidden` and ends its connection. */
export function turnAway(socket: Duplex, status: string): void {
  if (socket.destroyed) return;
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

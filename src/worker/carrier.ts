import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { Log } from '#src/adapters/log.ts';
import { FederationError } from '#src/core/errors.ts';
import { relay } from '#src/link/relay.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api.ts';

/** The worker's end of the carrier: a loopback port that the node host takes for the gateway. */
export interface LocalCarrier {
  readonly port: number;
  close(): Promise<void>;
}

export interface LocalCarrierOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** host:port of the hub. */
  readonly hub: string;
  /** The session credential of the link, as long as there is one. */
  readonly credential: () => string | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const MAX_FRAME_BYTES = 26_214_400;
const DIAL_MS = 10_000;
/** More than one only while a lost connection lingers beside its successor. */
const MAX_CONNECTIONS = 4;

/** Listens until `signal` or `close`. Throws PORT_IN_USE. */
export async function startCarrier({ port, hub, credential, log, signal }: LocalCarrierOptions): Promise<LocalCarrier> {
  const acceptor = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    autoPong: false,
    clientTracking: false,
  });
  const open = new Set<() => void>();
  const server = createServer((_request, response) => {
    response.writeHead(426, { connection: 'close' }).end();
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const refusal = judge(request, address.port);
    if (refusal !== null) return refuse(socket, refusal);
    const bearer = credential();
    // The node host tries again by itself until there is a link.
    if (bearer === null || open.size >= MAX_CONNECTIONS) return refuse(socket, '503 Service Unavailable');
    carry(bearer, request, socket, head);
  });

  function carry(bearer: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const upstream = new WebSocket(`ws://${hub}${CARRIER_PATH}`, {
      headers: { authorization: `Bearer ${bearer}` },
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      autoPong: false,
      handshakeTimeout: DIAL_MS,
    });
    let node: WebSocket | null = null;
    const end = (): void => {
      node?.terminate();
      upstream.terminate();
      socket.destroy();
    };
    open.add(end);
    socket.once('close', () => {
      open.delete(end);
      if (node === null) upstream.terminate();
    });
    upstream.on('error', (error) => {
      if (node !== null || socket.destroyed) return;
      log.warn('the hub does not carry the node host', { hub, problem: error.message });
      refuse(socket, '502 Bad Gateway');
    });
    // Accepted in the same turn as the hub's end opened, so that no frame of the gateway is missed.
    upstream.once('open', () => {
      if (socket.destroyed) return upstream.terminate();
      acceptor.handleUpgrade(request, socket, head, (accepted) => {
        node = accepted;
        relay(accepted, upstream);
      });
      if (node === null) upstream.terminate();
    });
  }

  await listen();
  const address = server.address() as AddressInfo;

  function listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', (error) => {
      reject(
        new FederationError('PORT_IN_USE', `the port ${port} for OpenClaw's node host is taken`, {
          hint: 'set nodeHost.carrierPort to a free one, or to 0',
          cause: error,
        }),
      );
    });
    server.listen({ host: '127.0.0.1', port }, resolve);
    return promise;
  }

  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', stop);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    for (const end of [...open]) end();
    await promise;
  };
  const stop = (): void => void close();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) await close();

  return { port: address.port, close };
}

/** A browser names its page in Origin, and a name that was rebound to loopback in Host: neither is the node host. */
function judge(request: IncomingMessage, port: number): string | null {
  const { host, origin, upgrade } = request.headers;
  if (origin !== undefined) return '403 Forbidden';
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return '421 Misdirected Request';
  if (request.url !== '/') return '404 Not Found';
  if (request.method !== 'GET' || upgrade?.toLowerCase() !== 'websocket') return '426 Upgrade Required';
  return null;
}

function refuse(socket: Duplex, status: string): void {
  if (socket.destroyed) return;
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

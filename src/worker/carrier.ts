import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Log } from '#src/adapters/log.ts';
import type { HubAddress } from '#src/core/hub-address.ts';
import { hubAddressText } from '#src/core/hub-address.ts';
import { asksForWebSocket, carry, turnAway } from '#src/link/carry.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';
import type { HubSession } from '#src/worker/hub-address.ts';
import { closeLoopback, listenOnLoopback } from '#src/worker/loopback.ts';

/** The worker's end of the carrier: a loopback port that the node host takes for the gateway. */
export interface LocalCarrier {
  readonly port: number;
  close(): Promise<void>;
}

export interface LocalCarrierOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly hub: HubAddress;
  /** Null until the first link. What is carried by it ends when it is lost. */
  readonly session: () => HubSession | null;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** More than one only while a lost connection lingers beside its successor. */
const MAX_CONNECTIONS = 4;

/** Listens until `signal` or `close`. Throws PORT_IN_USE. */
export async function startCarrier(options: LocalCarrierOptions): Promise<LocalCarrier> {
  const { hub, session, log, signal } = options;
  const open = new Set<() => void>();
  const server = createServer((_request, response) => response.writeHead(426, { connection: 'close' }).end());
  const port = await listenOnLoopback(server, {
    port: options.port,
    purpose: 'OpenClaw’s node host',
    hint: 'set nodeHost.carrierPort to a free one, or to 0',
  });

  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const refusal = judge(request, port);
    if (refusal !== null) return turnAway(socket, refusal);
    const now = session();
    // The node host tries again by itself until there is a link.
    if (now === null || now.lost.aborted || open.size >= MAX_CONNECTIONS)
      return turnAway(socket, '503 Service Unavailable');
    const end = carry({
      request,
      socket,
      head,
      url: `ws://${hubAddressText({ host: now.address, port: hub.port })}${CARRIER_PATH}`,
      headers: { host: hubAddressText(hub), authorization: `Bearer ${now.credential}` },
      onUnreachable: (problem) =>
        log.warn('the hub does not carry the node host', { hub: hubAddressText(hub), problem }),
      onEnd() {
        open.delete(end);
        now.lost.removeEventListener('abort', end);
      },
    });
    open.add(end);
    now.lost.addEventListener('abort', end, { once: true });
  });

  async function close(): Promise<void> {
    signal.removeEventListener('abort', stop);
    const closed = closeLoopback(server);
    for (const end of open) end();
    await closed;
  }

  function stop(): void {
    void close();
  }

  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) await close();
  return { port, close };
}

/** A browser names its page in Origin, and a name that was rebound to loopback in Host: neither is the node host. */
function judge(request: IncomingMessage, port: number): string | null {
  const { host, origin } = request.headers;
  if (origin !== undefined) return '403 Forbidden';
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return '421 Misdirected Request';
  if (request.url !== '/') return '404 Not Found';
  return asksForWebSocket(request) ? null : '426 Upgrade Required';
}

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { Log } from '#src/adapters/log.ts';
import type { Member } from '#src/core/membership.ts';
import { relay } from '#src/link/relay.ts';
import { connectGuard } from '#src/hub/connect-guard.ts';
import { offersNodeHost } from '#src/hub/gateway.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api.ts';

/** The hub's end of the carrier: the one way by which a member's node host reaches the gateway. */
export interface Carrier {
  /**
   * Takes over an upgrade request of CARRIER_PATH. Whoever is not a member that offers a node host gets an HTTP
   * error, and then the gateway is not even dialled.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Ends a member's connections at once. */
  closeFor(nodeId: string): void;
  close(): void;
}

export interface CarrierOptions {
  readonly gatewayUrl: string;
  /** The member whose session credential the request bears. */
  readonly authenticate: (request: IncomingMessage) => Member | null;
  /** The gateway greeted this device as the member's node host. */
  readonly onDevice: (nodeId: string, deviceId: string) => void;
  readonly log: Log;
}

/** The gateway's own limit of one frame. */
const MAX_FRAME_BYTES = 26_214_400;
const DIAL_MS = 5000;
/** A node host has one connection; a lost one may linger beside its successor. */
const MAX_PER_MEMBER = 4;
const REFUSED = 1008;

export function createCarrier({ gatewayUrl, authenticate, onDevice, log }: CarrierOptions): Carrier {
  const acceptor = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
    autoPong: false,
    clientTracking: false,
  });
  /** How to end each of a member's connections, oldest first. */
  const open = new Map<string, Set<() => void>>();

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (request.url !== CARRIER_PATH) return refuse(socket, '404 Not Found');
    if (request.method !== 'GET' || request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return refuse(socket, '426 Upgrade Required');
    }
    if (request.headers.origin !== undefined) return refuse(socket, '403 Forbidden');
    const member = authenticate(request);
    if (member === null) return refuse(socket, '401 Unauthorized');
    if (!offersNodeHost(member) || member.revokedAt !== null) return refuse(socket, '403 Forbidden');
    carry(member, request, socket, head);
  }

  function carry(member: Member, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const gateway = new WebSocket(gatewayUrl, {
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      autoPong: false,
      handshakeTimeout: DIAL_MS,
    });
    let node: WebSocket | null = null;
    const end = (): void => {
      node?.terminate();
      gateway.terminate();
      socket.destroy();
    };
    remember(member.id, end);
    socket.once('close', () => {
      forget(member.id, end);
      if (node === null) gateway.terminate();
    });
    gateway.on('error', (error) => {
      if (node !== null || socket.destroyed) return;
      log.warn('the gateway takes no connection', { node: member.name, problem: error.message });
      refuse(socket, '502 Bad Gateway');
    });
    // Accepted in the same turn as the gateway opened, so that no frame of the gateway is missed.
    gateway.once('open', () => {
      if (socket.destroyed) return gateway.terminate();
      acceptor.handleUpgrade(request, socket, head, (accepted) => {
        node = accepted;
        join(member, accepted, gateway);
      });
      // Refused by ws itself: not a WebSocket handshake of version 13.
      if (node === null) gateway.terminate();
    });
  }

  function join(member: Member, node: WebSocket, gateway: WebSocket): void {
    const guard = connectGuard({
      knownDevice: member.openclaw?.deviceId ?? null,
      onGreeted: (deviceId) => {
        log.info('the gateway greeted a node host', { node: member.name, device: deviceId });
        onDevice(member.id, deviceId);
      },
    });
    relay(node, gateway, {
      pass: (data, binary) => {
        const judged = guard.fromNode(data, binary);
        if (judged.ok) return judged.frame;
        log.warn('a carrier was refused', { node: member.name, reason: judged.reason });
        // The gateway's end first: nothing that may still be on its way shall reach it.
        gateway.terminate();
        node.close(REFUSED, judged.reason);
        return null;
      },
      watch: guard.fromGateway,
    });
  }

  function remember(nodeId: string, end: () => void): void {
    const ends = open.get(nodeId) ?? new Set();
    open.set(nodeId, ends.add(end));
    const [oldest] = ends;
    if (ends.size > MAX_PER_MEMBER) oldest?.();
  }

  function forget(nodeId: string, end: () => void): void {
    const ends = open.get(nodeId);
    ends?.delete(end);
    if (ends?.size === 0) open.delete(nodeId);
  }

  return {
    upgrade,
    closeFor(nodeId) {
      for (const end of [...(open.get(nodeId) ?? [])]) end();
    },
    close() {
      for (const ends of [...open.values()]) for (const end of [...ends]) end();
    },
  };
}

function refuse(socket: Duplex, status: string): void {
  if (socket.destroyed) return;
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

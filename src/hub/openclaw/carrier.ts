import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Log } from '#src/adapters/log.ts';
import type { Member } from '#src/core/member.ts';
import { connectGuard } from '#src/hub/openclaw/connect-guard.ts';
import { offersNodeHost } from '#src/hub/openclaw/gateway.ts';
import { asksForWebSocket, carry, turnAway } from '#src/link/carry.ts';
import { CARRIER_PATH } from '#src/protocol/hub-api/node-host.ts';

/** The hub's end of the carrier: the one way by which a member's node host reaches the gateway. */
export interface Carrier {
  /**
   * Takes over an upgrade request of CARRIER_PATH, whose Host and Origin are judged already. Whoever is not a member
   * that offers a node host gets an HTTP error, and then the gateway is not even dialled.
   */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** Ends a member's connections at once. */
  readonly closeFor: (nodeId: string) => void;
  readonly close: () => void;
}

export interface CarrierOptions {
  readonly gatewayUrl: string;
  /** The member whose session credential the request bears. */
  readonly authenticate: (request: IncomingMessage) => Member | null;
  /** Whether nothing is carried now: a lockdown. */
  readonly isShut?: () => boolean;
  /** The gateway greeted this device as the member's node host. */
  readonly onDevice: (nodeId: string, deviceId: string) => void;
  readonly log: Log;
}

/** A node host has one connection; a lost one may linger beside its successor. */
const MAX_PER_MEMBER = 4;

export function createCarrier({
  gatewayUrl,
  authenticate,
  isShut = () => false,
  onDevice,
  log,
}: CarrierOptions): Carrier {
  /** What ends each of a member's connections, oldest first. */
  const open = new Map<string, Set<() => void>>();

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const member = authenticate(request);
    const refusal = judge(request, member);
    if (member === null || refusal !== null) return turnAway(socket, refusal ?? '401 Unauthorized');
    // Its node host tries again by itself.
    if (isShut()) return turnAway(socket, '503 Service Unavailable');
    const node = member.name;
    const guard = connectGuard({
      knownDevice: member.openclaw?.deviceId ?? null,
      granted: member.grantedCommands,
      onGreeted: (device) => {
        log.info('the gateway greeted a node host', { node, device });
        onDevice(member.id, device);
      },
      onRefused: (reason) => log.warn('a connection to the gateway was refused', { node, reason }),
    });
    const end = carry({
      request,
      socket,
      head,
      url: gatewayUrl,
      ...guard,
      onUnreachable: (problem) => log.warn('the gateway takes no connection', { node, problem }),
      onEnd: () => forget(member.id, end),
    });
    remember(member.id, end);
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

  function closeFor(nodeId: string): void {
    for (const end of open.get(nodeId) ?? []) end();
  }

  return {
    upgrade,
    closeFor,
    close() {
      for (const nodeId of open.keys()) closeFor(nodeId);
    },
  };
}

function judge(request: IncomingMessage, member: Member | null): string | null {
  if (request.url !== CARRIER_PATH) return '404 Not Found';
  if (!asksForWebSocket(request)) return '426 Upgrade Required';
  if (member === null) return '401 Unauthorized';
  return offersNodeHost(member) && member.revokedAt === null ? null : '403 Forbidden';
}
